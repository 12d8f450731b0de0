"""The fourteen kinds of record that are published, with their columns as the vendor's data model has them.

Source: the pages `portal/model/` of apidocs.carecloud.io, 2024-07-24. A column that they mark as required must have a
value, and so must the primary key where a page marks nothing. A vocabulary is closed where a page says "either", and
open where it says "such as".
"""

from __future__ import annotations

from collections.abc import Iterable
from types import MappingProxyType

from services.importer.targets.records.schemas import Presence, RecordSchema, SchemaColumn

STATUS = ("new", "pending", "active", "inactive", "void")
CLAIM_STATUS = ("new", "pending", "active", "received", "processed", "returned", "void")
PAYMENT_STATUS = ("new", "pending", "active", "processed", "void")
PROVIDER_TYPE = ("licensed-center", "infant-center", "school", "family")
CLAIM_TYPE = ("normal", "adjustment")
LANGUAGE = ("en", "es", "zh")
ETHNICITY = ("hispanic-latino", "no-hispanic-latino")
RACE = ("caucasian", "asian", "american-indian", "black", "pacific-islander", "other")

MARKS = MappingProxyType({"!": Presence.VALUE, "?": Presence.COLUMN})


def _columns(text: str, vocabularies: dict[str, tuple[str, ...]]) -> tuple[SchemaColumn, ...]:
    """Columns written as `code`, `code:type`, with `!` behind it where a value is required, `?` where the column is."""
    found = []
    for word in text.split():
        presence = MARKS.get(word[-1], Presence.OPTIONAL)
        code, _, type_ = word.rstrip("!?").partition(":")
        found.append(SchemaColumn(code, type_ or "string", presence, vocabularies.get(code, ())))
    return tuple(found)


def _schema(entity_type: str, data_source: str, columns: str, **vocabularies: tuple[str, ...]) -> RecordSchema:
    return RecordSchema(entity_type, data_source, _columns(columns, vocabularies))


PUBLISHED: tuple[RecordSchema, ...] = (
    _schema(
        "wks_family",
        "cc-family",
        """
        entityId! name! email phone phone2 address:object mailAddress:object sameAddress:bool singleParent:bool
        familySize:number familyMonthlyIncome:number familyType status homeless:bool language comment data:object
        disabled:bool! tags:array category metadata:object
        """,
        status=STATUS,
        language=LANGUAGE,
    ),
    # The page marks `gender` as well, and the list that this project has adopted does not: a file without it is taken.
    # Of the columns that must be there one is often empty by nature: not everybody has a middle initial.
    _schema(
        "wks_family_member",
        "cc-family-member",
        """
        entityId! familyEntityId! firstName! lastName! middleInitial? dob gender email phone phone2 address:object
        mailAddress:object sameAddress:bool ethnicity race citizenInfo includeInSize:bool status! isParent:bool!
        isChild:bool! primaryParent:bool! minorParent:bool! ssn language limitedEnglish:bool relationship comment
        data:object disabled:bool! tags:array category metadata:object
        """,
        status=STATUS,
        language=LANGUAGE,
        ethnicity=ETHNICITY,
        race=RACE,
    ),
    _schema(
        "wks_family_extensions",
        "cc-family-income",
        """
        entityId! refEntityType refDatasourceCode refEntityId data:object comment disabled:bool tags:array category
        metadata:object
        """,
    ),
    _schema(
        "wks_family_extensions",
        "cc-family-need",
        """
        entityId! refEntityType refDatasourceCode refEntityId data:object comment disabled:bool tags:array category
        metadata:object
        """,
    ),
    _schema(
        "wks_case",
        "cc-family-case",
        """
        entityId! name refEntityType refDatasourceCode refEntityId status data:object comment disabled:bool tags:array
        category metadata:object
        """,
        status=STATUS,
    ),
    _schema(
        "wks_billing",
        "cc-family-invoice",
        """
        entityId! refEntityType refDatasourceCode refEntityId external_billing_account subject description
        post_date:datetime due_date:datetime paid_date:datetime from_email from_name to_email to_name amount:number
        status stripe_customer stripe_invoice data:object items:list metadata:object
        """,
    ),
    _schema(
        "wks_provider",
        "cc-provider",
        """
        entityId! name! legalName firstName lastName middleInitial dob gender email! phone phone2 address:object!
        mailAddress:object sameAddress:bool ethnicity race citizenInfo providerType isExempt:bool status ssn taxId!
        language limitedEnglish:bool license:list rate:list comment data:object disabled:bool! tags:array category
        metadata:object
        """,
        status=STATUS,
        providerType=PROVIDER_TYPE,
        language=LANGUAGE,
        ethnicity=ETHNICITY,
        race=RACE,
    ),
    _schema(
        "wks_provider_extensions",
        "cc-provider-holiday",
        """
        entityId! refEntityType refDatasourceCode refEntityId data:object comment disabled:bool tags:array category
        metadata:object
        """,
    ),
    _schema(
        "wks_billing",
        "cc-provider-payment",
        """
        entityId! refEntityType refDatasourceCode refEntityId providerId providerName address:object email eopCode
        payDate amount:number status items:list data:object disabled:bool tags:array category metadata:object
        """,
        status=PAYMENT_STATUS,
    ),
    _schema(
        "wks_service",
        "cc-service-care",
        """
        entityId! childId childName childDOB providerId providerName startDate endDate careType fundingSource
        schedules:list isVariable:bool IsAlternative:bool providerRates:list rmcRates:list familyFee:list status comment
        data:object disabled:bool tags:array category metadata:object
        """,
        status=STATUS,
    ),
    _schema(
        "wks_claim",
        "cc-claim",
        """
        entityId! childId! childName childDOB providerId! providerName providerType! startDate! endDate! careType
        fundingSource! isAdjustment:bool! familyId! claimType amount:number items:list familyFee:number status comment
        data:object disabled:bool! tags:array category metadata:object
        """,
        status=CLAIM_STATUS,
        providerType=PROVIDER_TYPE,
        claimType=CLAIM_TYPE,
    ),
    _schema(
        "wks_attendance",
        "cc-claim-attendance",
        """
        entityId! claimId childId childName childDOB providerId providerName providerType startDate endDate familyId
        attendance:object parentSignDate parentSignature providerSignDate providerSignature status comment data:object
        disabled:bool tags:array category metadata:object
        """,
        status=STATUS,
        providerType=PROVIDER_TYPE,
    ),
    # One page for each sort of document (timesheet, explanation of payment); their columns are the same.
    _schema(
        "wks_document",
        "cc-document",
        """
        entityId! refEntityType refDatasourceCode refEntityId data:object templateCode language disabled:bool tags:array
        category metadata:object
        """,
        language=LANGUAGE,
    ),
    _schema(
        "wks_note",
        "cc-note",
        """
        entityId! refEntityType refDatasourceCode refEntityId actionDescription actionUser actionTime:datetime action
        isInternal:bool data:object disabled:bool tags:array category metadata:object
        """,
    ),
)


def with_published(own: Iterable[RecordSchema]) -> tuple[RecordSchema, ...]:
    """A workspace's own schemas, then the published ones of other pairs."""
    kept = tuple(own)
    replaced = {each.pair for each in kept}
    return *kept, *(each for each in PUBLISHED if each.pair not in replaced)
