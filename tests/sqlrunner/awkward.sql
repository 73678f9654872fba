CREATE TABLE t (
    id integer, big bigint, price numeric(18, 3), x double precision, flag boolean,
    born date, seen timestamp, zoned timestamptz, name varchar
);
INSERT INTO t VALUES
    (1, 9223372036854775807, 123456789012345.678, 0.1, true, '2020-02-29', '2020-01-01 01:02:03.456', '2020-01-01 01:00:00+02', 'plain'),
    (2, -9223372036854775808, -0.001, 1e300, false, '1899-12-31', '1999-12-31 23:59:59', '2020-06-01 00:00:00+00', 'quo"te, and
line'),
    (3, 0, 0, -2.5, NULL, NULL, NULL, NULL, NULL),
    (4, NULL, NULL, NULL, true, '9999-12-31', NULL, NULL, ''),
    (5, 5, 5.5, 5, true, '2000-01-01', NULL, NULL, 'Zoë 漢字 🩺');
