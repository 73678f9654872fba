-- South keeps people and visits apart, money as logarithms, and health as a code.
SELECT
    patients.patient_id,
    visits.record_number,
    visits.md_visits,
    patients.log_coinsurance,
    patients.deductible_plan,
    patients.physical_limitation,
    patients.chronic_diseases,
    patients.health_code,
    patients.log_incentive
FROM visits
JOIN patients ON patients.patient_id = visits.patient_id
ORDER BY patients.patient_id, visits.record_number
