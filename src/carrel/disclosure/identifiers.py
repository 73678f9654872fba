"""Columns that may identify people: by their name, or by what stands in them. Pure.

Sources of the names: the NHS Data Dictionary's person identifiers; the 18 identifiers of 45 CFR 164.514(b)(2) (HIPAA
"Safe Harbor"); ISB 1523, *Anonymisation Standard for Publishing Health and Social Care Data*. A backend's policy adds
its own.
"""

import re
from collections.abc import Collection, Iterator, Sequence

from carrel.disclosure.findings import DisclosureFinding, Rule
from carrel.disclosure.mentions import words_of
from carrel.disclosure.tables import Table
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


def findings_of_identifiers(table: Table, names: Collection[str] = IDENTIFIER_NAMES) -> Iterator[DisclosureFinding]:
    """A finding for each column that may identify people, by its header or, where that says nothing, by its cells.

    No value is quoted: it may be somebody's.
    """
    for number, header in enumerate(table.header.cells):
        if name := identifier_of(header, names):
            message = f"a column of this name may identify people ({name})"
            yield DisclosureFinding(
                rule=Rule.IDENTIFIER_NAME,
                line=table.header.line,
                column=header,
                value="",
                message=message,
                subject=name,
            )
        elif kind := kind_of_values(table.column(number)):
            message = f"the values look like {kind}, which identify people"
            yield DisclosureFinding(
                rule=Rule.IDENTIFIER_VALUE,
                line=table.header.line,
                column=header,
                value="",
                message=message,
                subject=kind,
            )


_NHS_NUMBER = re.compile(r"([0-9]{3})([ -]?)([0-9]{3})\2([0-9]{4})")
_POSTCODE = re.compile(r"[A-Z]{1,2}[0-9][A-Z0-9]? ?[0-9][ABD-HJLNP-UW-Z]{2}", re.IGNORECASE)
_EMAIL = re.compile(r"[^@\s,;]{1,64}@[^@\s,;]{1,190}\.[a-z]{2,24}", re.IGNORECASE)
_PHONE = re.compile(r"(?:\+44 ?|\(?0)[0-9](?:[ ()-]?[0-9]){8,9}")
_SHARE = 0.8
"""Of the filled cells of a column that must look so: a few may be marks or mistakes."""


def kind_of_values(cells: Sequence[str]) -> str:
    """`NHS numbers`, `postcodes`, `e-mail addresses` or `telephone numbers`; "" for other cells.

    A tenth of all numbers of ten digits have the right check digit, so one alone is believed only in groups of 3, 3, 4.
    """
    filled = [cell.strip() for cell in cells if cell.strip()]
    if not filled:
        return ""
    if any(_EMAIL.fullmatch(cell) for cell in filled):
        return "e-mail addresses"
    distinct = set(filled)
    numbers = {cell for cell in distinct if is_nhs_number(cell)}
    if len(numbers) >= _SHARE * len(distinct) and (len(numbers) > 1 or not max(numbers).isdigit()):
        return "NHS numbers"
    if sum(1 for cell in filled if _POSTCODE.fullmatch(cell)) >= _SHARE * len(filled):
        return "postcodes"
    if sum(1 for cell in filled if _PHONE.fullmatch(cell)) >= _SHARE * len(filled):
        return "telephone numbers"
    return ""


def is_nhs_number(text: str) -> bool:
    """Ten digits, the last of which is right: 11 less the weighted sum (10 to 2) modulo 11; 11 is 0, and 10 is none.

    Source: NHS Data Dictionary, "NHS NUMBER".
    """
    match = _NHS_NUMBER.fullmatch(text)
    if match is None:
        return False
    digits = [int(digit) for digit in match[1] + match[3] + match[4]]
    if len(set(digits)) == 1:
        return False
    check = 11 - sum(digit * weight for digit, weight in zip(digits, range(10, 1, -1), strict=False)) % 11
    return check % 11 == digits[9] and check != 10
