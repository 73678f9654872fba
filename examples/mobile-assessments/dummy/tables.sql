-- The tables that the study reads, empty: `carrel up` describes them in the catalogues of backends that have no data.
CREATE TABLE ArchiveMetadata_v1 (
    recordid VARCHAR, healthcode VARCHAR, assessmentid VARCHAR, appVersion VARCHAR, deviceInfo VARCHAR
);
CREATE TABLE TaskData_v1 (recordid VARCHAR, scores_finalTheta DOUBLE);
CREATE TABLE TaskData_v1__steps (recordid VARCHAR, responseTime DOUBLE);
CREATE TABLE Tapping_v1__samples (recordid VARCHAR, duration DOUBLE);
CREATE TABLE Motion_v1 (recordid VARCHAR, sensorType VARCHAR, x DOUBLE, y DOUBLE, z DOUBLE)
