"""The names of columns that may identify people. Pure.

Sources of the names: the NHS Data Dictionary's person identifiers; the 18 identifiers of 45 CFR 164.514(b)(2) (HIPAA
"Safe Harbor"); ISB 1523, *Anonymisation Standard for Publishing Health and Social Care Data*. A backend's policy adds
its own.
"""

from collections.abc import Collection

from carrel.disclosure.mentions import words_of
from carrel.units.words import split_list

IDENTIFIER_NAMES = (
    *(
        "patient_id",
        "patient_number",
        "patient_no",
        "patient_ref",
        "patient_reference",
        "patient_identifier",
        "patient_key",
    ),
    *(
        "patient_name",
        "pseudo_id",
        "pseudonym",
        "pseudo_nhs_number",
        "person_id",
        "person_key",
        "subject_id",
        "participant_id",
    ),
    *(
        "record_id",
        "case_id",
        "individual_id",
        "member_id",
        "client_id",
        "user_id",
        "study_id",
        "household_id",
        "health_code",
    ),
    *(
        "spell_id",
        "episode_id",
        "encounter_id",
        "appointment_id",
        "admission_id",
        "device_id",
        "uid",
        "uuid",
        "guid",
        "id",
    ),
    *("nhs", "nhs_number", "nhs_no", "nhs_num", "nhs_id", "chi", "chi_number", "chi_no", "hcn", "health_care_number"),
    *("h_and_c_number", "hospital_number", "hospital_no", "hospital_id", "unit_number", "mrn", "medical_record_number"),
    *("medical_record_no", "ni_number", "ni_no", "nino", "national_insurance_number", "ssn", "social_security_number"),
    *("passport_number", "passport_no", "driving_licence_number", "date_of_birth", "birth_date", "dob", "birthday"),
    *(
        "date_of_death",
        "death_date",
        "name",
        "full_name",
        "first_name",
        "forename",
        "given_name",
        "middle_name",
        "last_name",
    ),
    *("surname", "family_name", "maiden_name", "initials", "postcode", "post_code", "postal_code", "zip", "zip_code"),
    *(
        "address",
        "home_address",
        "address_line",
        "street",
        "street_name",
        "house_number",
        "uprn",
        "latitude",
        "longitude",
    ),
    *("email", "e_mail", "email_address", "phone", "phone_number", "phone_no", "telephone", "telephone_number", "tel"),
    *("tel_no", "mobile", "mobile_number", "mobile_phone", "fax", "fax_number", "ip_address"),
    *("practice_id", "practice_code", "practice_name", "gp_practice", "gp_practice_code", "ods_code"),
)
"""Practices and organisations are told too: nothing about a single one may leave (local-run.md section 5)."""
_ALONE = frozenset(
    {"id", "name", "nhs", "chi", "uid", "zip", "address", "street", "phone", "mobile", "tel", "fax", "initials"}
)
"""Too common as the end of a longer name (`code_name`, `nhs` of a region) to mean the same there."""
_COUNTING = frozenset(
    {"n", "num", "number", "count", "counts", "no", "total", "has", "any", "missing", "distinct", "unique"}
)
_LONGEST_HEADER = 100


def names_in(text: str) -> tuple[str, ...]:
    """The names of a list: by commas or one a line, with comments from `#` on."""
    lines = (line.partition("#")[0] for line in text.splitlines())
    return tuple(name for line in lines for name in split_list(line) if words_of(name))


def identifier_of(header: str, names: Collection[str] = IDENTIFIER_NAMES) -> str:
    """The name of the list that a header stands for, in any case and spelling (`NHS no.`, `patientId`); "" for none.

    Words before it do not matter (`mother_nhs_number`, `data.patient_id`), unless they count (`n_patient_id`); nor do
    a number, `x` or `y` after it.
    """
    words = words_of(header[:_LONGEST_HEADER])
    while len(words) > 1 and (words[-1] in ("x", "y") or words[-1].isdigit()):
        words = words[:-1]
    for name in names:
        listed = "".join(words_of(name))
        for start in range(len(words)):
            is_whole = start == 0
            if "".join(words[start:]) == listed and (is_whole or name not in _ALONE):
                return "" if _COUNTING & set(words[:start]) else name
    return ""
