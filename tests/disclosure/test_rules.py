"""What each rule finds in a table, and what it leaves alone; and the table of rules itself."""

import io
from dataclasses import fields, replace

import pytest

from carrel.disclosure.figures import numbers_beside
from carrel.disclosure.findings import RuleId
from carrel.disclosure.outputs import look_at
from carrel.disclosure.policy import (
    DisclosurePolicy,
    DisclosurePolicyError,
    read_disclosure_policy,
)
from carrel.disclosure.rules import RULES, RuleScope, rules_version, version_of

POLICY = DisclosurePolicy(rounded_to=1)


def cells(text: str, rule: RuleId, policy: DisclosurePolicy = POLICY) -> list[tuple[int, str]]:
    """Line and column of what one rule finds in a CSV text."""
    findings = look_at(io.BytesIO(text.encode()), ".csv", policy).findings
    return [(finding.line, finding.column) for finding in findings if finding.rule is rule]


SURVIVAL = "time,survival,at_risk\n0,1.0,100\n1,0.9,90\n2,0.88,88\n3,0.05,5\n"
LISTED = "key,n\n" + "".join(f"{kind}{number},10\n" for number in range(60) for kind in "abcd")
PRICES = "a,total,largest,second_largest\nx,1000,600,350\ny,1000,200,100\nz,,10,5\n"

FOUND = [
    # A percentage of d decimals stands for every count that is rounded to it.
    (
        RuleId.IMPLIED_COUNT,
        "sex,denominator,percent\nF,200,2.0\nM,200,20.0\nX,200,98.0\n",
        [(2, "percent"), (4, "percent")],
    ),
    (RuleId.IMPLIED_COUNT, "sex,n,pct\nF,20000,1\nM,50,10\n", [(3, "pct")]),
    (RuleId.IMPLIED_COUNT, "sex,N,share\nF,100,0.03\nM,100,0.5\n", [(2, "share")]),
    (RuleId.IMPLIED_COUNT, "sex,total,rate %\nF,100,3%\nM,100,50%\n", [(2, "rate %")]),
    (RuleId.IMPLIED_COUNT, "sex,n,percent\nF,[REDACTED],4\nM,96,96\nAll,100,100\n", [(2, "percent")]),
    (RuleId.IMPLIED_COUNT, "sex,n,percent\nF,20,20\nM,80,80\n", []),
    (RuleId.IMPLIED_COUNT, "plan,visits,n,percent\na,0,10,20\na,1,40,80\nb,0,*,4\nb,1,96,96\n", [(4, "percent")]),
    (RuleId.IMPLIED_COUNT, f"All,percent\n{'9' * 400},3\n3,1e3\n1,-4\n1,1e-300\n", []),
    (RuleId.IMPLIED_COUNT, "sex,n_midpoint6,pct_midpoint6_derived\nF,99,3.0\nM,99,9.1\n", []),
    (RuleId.IMPLIED_COUNT, "sex,a,b,percent\nF,1,2,3\n", []),
    (RuleId.IMPLIED_COUNT, "plan,visits,n\nfree,0,20\n25%,1,25\n50%,0,10\n95-100%,1,30\n", []),
    (RuleId.IMPLIED_COUNT, "coinsurance,n\n25%,20\n50%,10\n", []),
    (RuleId.IMPLIED_COUNT, "sex,uptake,n\nF,3%,100\nM,50%,100\n", [(2, "uptake")]),
    # Totals give a cell away, alone or with others.
    (RuleId.MARGINS, "sex,n\nF,[REDACTED]\nM,20\nTotal,24\n", [(2, "n")]),
    (RuleId.MARGINS, "sex,n\nF,[REDACTED]\nM,20\nTotal,20\n", []),
    (RuleId.MARGINS, "sex,n\nF,[REDACTED]\nM,*\nTotal,24\n", []),
    (RuleId.MARGINS, "sex,n\nF,[REDACTED]\nM,[REDACTED]\nX,22\nTotal,24\n", [(2, "n"), (3, "n")]),
    (RuleId.MARGINS, "sex,north,south,total\nF,*,10,14\nM,20,30,50\n", [(2, "north")]),
    (RuleId.MARGINS, "sex,north,south,total\nF,*,*,14\nM,20,30,50\n", []),
    (RuleId.MARGINS, "sex,a,b,All\nF,*,*,14\nM,*,30,50\nX,9,9,18\nAll,30,52,82\n", [(2, "a"), (2, "b"), (3, "a")]),
    (RuleId.MARGINS, "sex,a,b,c,All\nF,*,*,9,24\nM,*,*,9,50\nAll,30,26,18,74\n", []),
    (RuleId.MARGINS, "region,sex,n\nN,F,*\nN,M,10\nN,All,13\nS,F,10\nS,M,10\nS,All,20\n", [(2, "n")]),
    (RuleId.MARGINS, "variable,level,n\nage,young,*\nage,old,10\nsex,F,8\nsex,M,8\nTotal,,16\n", [(2, "n")]),
    (RuleId.MARGINS, "sex,mean,n,total\nF,1.5,*,14\nM,1.2,30,14\n", []),
    (RuleId.MARGINS, "sex,n\nF,\nM,20\nTotal,24\nSource: our data,\n", [(2, "n")]),
    (RuleId.EXTREMES, "x,min_age,max_age\na,18,99\n", [(1, "min_age"), (1, "max_age")]),
    (RuleId.EXTREMES, "statistic,age,sex\nmean,50.5,0.5\nmax,99,1\n", [(3, "age"), (3, "sex")]),
    (RuleId.EXTREMES, "statistic,age\nmean,50.5\nmedian,50\n", []),
    (RuleId.DOMINANCE_NK, PRICES, [(2, "total")]),
    (RuleId.DOMINANCE_P, PRICES, [(2, "total")]),
    (RuleId.DOMINANCE_NK, "a,total,n\nx,1000,10\n", []),
    (RuleId.ONE_CLASS, "sex,yes,no\nF,0,40\nM,20,20\nX,0,0\n", [(2, "no")]),
    (RuleId.ONE_CLASS, "sex,n,percent\nF,40,100\nM,40,50.5\n", [(2, "percent")]),
    (RuleId.ONE_CLASS, "sex,yes,no\nF,[REDACTED],40\n", []),
    (RuleId.MISSING_VALUES, "sex,n\nF,nan\nM,\nX,20\nY,30\n", [(2, "n")]),
    (RuleId.MISSING_VALUES, "sex,n\nM,\nX,20\nY,30\n", [(2, "n")]),
    (RuleId.MISSING_VALUES, "sex,n\nF,[REDACTED]\nX,20\nY,n/a\n", []),
    (RuleId.DEGREES_OF_FREEDOM, "term,estimate,df_resid\nage,1.5,7\n", [(2, "df_resid")]),
    (RuleId.DEGREES_OF_FREEDOM, "Dep. Variable:,y,Df Residuals:,5\nModel:,OLS,Df Model:,2\n", []),
    (RuleId.DEGREES_OF_FREEDOM, "what,value\nNo. Observations:,12\nDf Residuals:,5\n", [(3, "value")]),
    (RuleId.SURVIVAL, SURVIVAL, [(4, "at_risk"), (5, "at_risk")]),
    (RuleId.SURVIVAL, "time,surv,n_risk,n_event\n0,1.0,100,0\n1,0.9,90,3\n", [(3, "n_event")]),
    (RuleId.SURVIVAL, "time,at_risk\n0,5\n", []),
    (RuleId.MANY_LABELS, LISTED, [(1, "key")]),
    (RuleId.MANY_LABELS, "key,n\n" + "".join(f"2020-01-{n:03d},10\n" for n in range(300)), []),
    (RuleId.MANY_LABELS, "k,m\n" + "".join(f"{n:07d},a\n" for n in range(300)), [(1, "k")]),
    (RuleId.LONG_TABLE, "n,m\n" + "10,a\n" * 4500, [(1, "")]),
    (RuleId.LONG_TABLE, "n,m\n" + "10,a\n" * 4499, []),
    (RuleId.WIDE_TABLE, ",".join(f"c{n}" for n in range(51)) + "\n" + ",".join(["10"] * 51) + "\n", [(1, "")]),
]


@pytest.mark.parametrize(("rule", "text", "expected"), FOUND)
def test_what_a_rule_finds(rule: RuleId, text: str, expected: list[tuple[int, str]]) -> None:
    assert cells(text, rule) == expected


def test_every_rule_of_one_table_is_tried() -> None:
    tried = {rule for rule, _, _ in FOUND}
    elsewhere = {RuleId.SMALL_COUNT, RuleId.NOT_ROUNDED, RuleId.NOT_MIDPOINT6, RuleId.ZERO}
    elsewhere |= {RuleId.IDENTIFIER_NAME, RuleId.IDENTIFIER_VALUE}
    assert {rule.id for rule in RULES if rule.scope is RuleScope.TABLE} == tried | elsewhere


def test_a_rule_is_in_the_table_once_and_its_thresholds_are_the_policys() -> None:
    assert sorted(rule.id for rule in RULES) == sorted(RuleId)
    settings = {field.name for field in fields(DisclosurePolicy)} | {"identifier_columns"}
    assert {name for rule in RULES for name in rule.thresholds} <= settings
    assert version_of(RuleId.MARGINS) == "1"
    assert rules_version().startswith("20 rules, ")
    assert len(rules_version()) <= 40


def test_thresholds_are_the_policys() -> None:
    strict = DisclosurePolicy(smallest_shown=11, rounded_to=10, zeros_are_disclosive=True)
    text = "sex,n,m\nF,0,10\nM,15,20\n"
    assert cells(text, RuleId.SMALL_COUNT, strict) == [(2, "m")]
    assert cells(text, RuleId.NOT_ROUNDED, strict) == [(3, "n")]
    assert cells(text, RuleId.ZERO, strict) == [(2, "n")]
    assert cells(text, RuleId.ZERO) == []
    assert cells(text, RuleId.SMALL_COUNT, replace(strict, off=frozenset({RuleId.SMALL_COUNT}))) == []
    (small,) = look_at(io.BytesIO(b"sex,n\nF,10\n"), ".csv", strict).findings
    assert (small.message, small.column_number) == ("a count of 10 or fewer must be redacted", 2)


def test_too_many_redacted_cells_are_told_as_not_checked() -> None:
    names = ",".join(f"c{number}" for number in range(16))
    rows = "".join(f"r{row},{','.join(['*'] * 16)},100\n" for row in range(16))
    table = f"row,{names},total\n{rows}sum,{','.join(['100'] * 16)},1600\nr,{','.join(['10'] * 16)},160\n"
    look = look_at(io.BytesIO(table.encode()), ".csv", POLICY)
    assert "margins: more than 200 redacted cells hang together by their totals" in look.unchecked


@pytest.mark.parametrize(
    ("path", "beside", "numbers"),
    [
        ("output/visits.svg", ["output/visits.csv"], "output/visits.csv"),
        ("output/visits.svg", ["output/visits_data.csv"], "output/visits_data.csv"),
        ("output/figure_visits.png", ["output/visits.csv"], "output/visits.csv"),
        ("output/visits.svg", ["visits.csv", "output/visits.png", "output/other.csv"], ""),
    ],
)
def test_the_numbers_of_an_image_stand_beside_it(path: str, beside: list[str], numbers: str) -> None:
    assert numbers_beside(path, beside) == numbers
    findings = look_at(io.BytesIO(b""), path, POLICY, beside=beside).findings
    assert [finding.rule for finding in findings] == ([] if numbers else [RuleId.IMAGE_WITHOUT_NUMBERS])


def test_a_policy_is_read_and_kept_as_it_was() -> None:
    policy = read_disclosure_policy({"smallest_shown": 11, "identifier_columns": ["trial_number"], "off": ["zero"]})
    assert (policy.smallest_shown, policy.largest_small, policy.rounded_to) == (11, 10, 5)
    assert policy.identifiers[-1] == "trial_number"
    assert policy.as_record()["identifier_columns"] == ["trial_number"]
    assert read_disclosure_policy(policy.as_record()) == policy
    assert read_disclosure_policy(None) == read_disclosure_policy({}) == DisclosurePolicy()


def test_every_mistake_of_a_policy_is_told_with_its_place() -> None:
    settings = {"rounded_to": "5", "smallest_shown": True, "dominance_share": 2, "off": ["x"], "colour": 1}
    settings |= {"zeros_are_disclosive": 1, "identifier_columns": "a"}
    with pytest.raises(DisclosurePolicyError) as refused:
        read_disclosure_policy(settings)
    lines = str(refused.value).splitlines()
    assert lines[0] == "disclosure.rounded_to: must be a whole number from 1 to 1,000"
    assert [line.partition(":")[0] for line in lines] == [f"disclosure.{key}" for key in settings]
    with pytest.raises(DisclosurePolicyError, match=r"^disclosure: must be a mapping of "):
        read_disclosure_policy([1])
