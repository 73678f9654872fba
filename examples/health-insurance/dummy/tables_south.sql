-- What a backend `south` that has no data would have, made of dummy data: `carrel up` describes it in its catalogue.
CREATE TABLE patients AS
SELECT DISTINCT
    patient_id, log_coinsurance, deductible_plan, physical_limitation, chronic_diseases, health_code, log_incentive
FROM read_csv('south.csv');
CREATE TABLE visits AS SELECT patient_id, record_number, md_visits FROM read_csv('south.csv');
CREATE VIEW person_years AS
SELECT
    visits.patient_id, visits.record_number, visits.md_visits AS visits,
    round(exp(patients.log_coinsurance) - 1, 2) AS coinsurance_percent, patients.deductible_plan
FROM visits JOIN patients ON patients.patient_id = visits.patient_id
