-- What a backend `north` that has no data would have, made of dummy data: `carrel up` describes it in its catalogue.
CREATE TABLE person_years AS FROM read_csv('north.csv')
