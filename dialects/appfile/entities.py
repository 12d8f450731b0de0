"""The published entities, by the names that the vendor's pages give them: entity type and code of the data source."""

from __future__ import annotations

# portal/model/data-model.md of apidocs.carecloud.io. An entity type alone may stand for several of them.
ENTITIES = {
    "family": ("wks_family", "cc-family"),
    "family_member": ("wks_family_member", "cc-family-member"),
    "family_income": ("wks_family_extensions", "cc-family-income"),
    "family_need": ("wks_family_extensions", "cc-family-need"),
    "family_case": ("wks_case", "cc-family-case"),
    "family_invoice": ("wks_billing", "cc-family-invoice"),
    "provider": ("wks_provider", "cc-provider"),
    "provider_holiday": ("wks_provider_extensions", "cc-provider-holiday"),
    "provider_payment": ("wks_billing", "cc-provider-payment"),
    "care": ("wks_service", "cc-service-care"),
    "claim": ("wks_claim", "cc-claim"),
    "claim_attendance": ("wks_attendance", "cc-claim-attendance"),
    "document": ("wks_document", "cc-document"),
    "note": ("wks_note", "cc-note"),
}


def entity_of(name: str) -> tuple[str, str]:
    """Entity type and data source of a published entity; any other name is an entity type, of any data source."""
    return ENTITIES.get(name, (name, ""))
