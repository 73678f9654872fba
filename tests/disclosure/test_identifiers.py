"""Columns that may identify people."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carrel.disclosure.columns import ReadTable
from carrel.disclosure.identifier_names import IDENTIFIER_NAMES, identifier_of, names_in
from carrel.disclosure.identifiers import is_nhs_number, kind_of_values
from carrel.disclosure.policy import DisclosurePolicy
from carrel.disclosure.rules import look_at_table
from carrel.disclosure.tables import read_tables

NHS = ("943 476 5919", "401 023 2137")


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("patient_id", "patient_id"),
        ("PatientId", "patient_id"),
        (" Patient ID ", "patient_id"),
        ("data.patient_id", "patient_id"),
        ("patient_id_x", "patient_id"),
        ("first_patient_id", "patient_id"),
        ("nhs_number", "nhs_number"),
        ("NHS no.", "nhs_no"),
        ("nhsNumber", "nhs_number"),
        ("mother_nhs_number", "nhs_number"),
        ("NHS Number (10 digits)", ""),
        ("date_of_birth", "date_of_birth"),
        ("Date of Birth", "date_of_birth"),
        ("DOB", "dob"),
        ("dateOfBirth", "date_of_birth"),
        ("Surname", "surname"),
        ("First name", "first_name"),
        ("home_postcode", "postcode"),
        ("Post Code", "postcode"),
        ("e-mail", "email"),
        ("E-mail address", "email_address"),
        ("phone", "phone"),
        ("mobile_phone", "mobile_phone"),
        ("MRN", "mrn"),
        ("Hospital number", "hospital_number"),
        ("address_line_1", "address_line"),
        ("id", "id"),
        ("ID", "id"),
        ("name", "name"),
        ("", ""),
        ("n", ""),
        ("variable_name", ""),
        ("code_id", ""),
        ("n_patient_id", ""),
        ("number_of_email", ""),
        ("inpatient_ideas", ""),
        ("patient_ids", ""),
        ("age_band", ""),
        ("interval_start", ""),
    ],
)
def test_headers(header: str, name: str) -> None:
    assert identifier_of(header) == name


@pytest.mark.parametrize("name", IDENTIFIER_NAMES)
def test_each_name_of_the_list_is_found_in_other_spellings(name: str) -> None:
    words = name.split("_")
    for spelling in (name, name.upper(), " ".join(words).title(), words[0] + "".join(map(str.title, words[1:]))):
        assert identifier_of(spelling)


def test_a_policy_adds_names() -> None:
    names = names_in("gp_system_key, trial number  # ours\n\n# a comment\ncasenote\n")
    assert names == ("gp_system_key", "trial number", "casenote")
    assert identifier_of("GP system key", names) == "gp_system_key"
    assert identifier_of("trialNumber", names) == "trial number"
    assert identifier_of("patient_id", names) == ""


@given(st.integers(0, 10**9 - 1))
def test_nhs_numbers_have_at_most_one_check_digit(number: int) -> None:
    valid = [digit for digit in range(10) if is_nhs_number(f"{number:09d}{digit}")]
    total = sum(int(digit) * weight for digit, weight in zip(f"{number:09d}", range(10, 1, -1), strict=True)) % 11
    alike = len(set(f"{number:09d}")) == 1 and (11 - total) % 11 == int(f"{number:09d}"[0])
    assert len(valid) == (0 if total == 1 or alike else 1)


@pytest.mark.parametrize("text", ["9434765919", "943 476 5919", "943-476-5919"])
def test_an_nhs_number(text: str) -> None:
    assert is_nhs_number(text)


@pytest.mark.parametrize("text", ["9434765918", "943 4765919", "0000000000", "943476591", "", "943 476 591x"])
def test_no_nhs_number(text: str) -> None:
    assert not is_nhs_number(text)


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (NHS, "NHS numbers"),
        (("9434765919", "4010232137"), "NHS numbers"),
        (("943 476 5919", ""), "NHS numbers"),
        (("9434765919",), ""),
        (("9434765919", "15", "20", "30"), ""),
        (("SW1A 1AA", "M1 1AE"), "postcodes"),
        (("sw1a1aa",), "postcodes"),
        (("SW1A", "M1"), ""),
        (("x", "a.b@example.org"), "e-mail addresses"),
        (("020 7946 0018", "+44 161 496 0018"), "telephone numbers"),
        (("10", "20"), ""),
        (("2020-01-01",), ""),
        (("", ""), ""),
        ((), ""),
    ],
)
def test_values(cells: tuple[str, ...], kind: str) -> None:
    assert kind_of_values(cells) == kind


def test_findings_quote_no_value() -> None:
    (table,) = read_tables([f"ref,dob,n\n{NHS[0]},2001-02-03,10\n{NHS[1]},2001-02-04,10\n"])
    findings = look_at_table(ReadTable(table), DisclosurePolicy()).findings
    assert [(finding.line, finding.column, finding.value) for finding in findings] == [(1, "ref", ""), (1, "dob", "")]
    assert [finding.message for finding in findings] == [
        "the values look like NHS numbers, which identify people",
        "a column of this name may identify people (dob)",
    ]
