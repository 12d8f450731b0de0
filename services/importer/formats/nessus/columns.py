"""The columns of Tenable's tables, by what the same thing is called in a Nessus report.

Tables of Nessus Professional (the short and the long one, the names of scores changed over the years), Tenable.sc (the
list and the detailed view), Tenable.io (the classic table, and findings with dotted names) and web application scans.
"""

from __future__ import annotations

# Element of a `ReportItem`, then the columns that have it; the first with a text counts. All are the same on every
# host.
TEXTS: tuple[tuple[str, ...], ...] = (
    ("synopsis", "Synopsis", "definition.synopsis"),
    ("description", "Description", "definition.description"),
    ("solution", "Solution", "Steps to Remediate", "definition.solution"),
    ("see_also", "See Also", "definition.see_also"),
    ("risk_factor", "Risk Factor", "definition.severity"),
    ("cve", "CVE", "definition.cve"),
    ("cwe", "CWE", "definition.cwe"),
    ("bid", "BID", "definition.bugtraq"),
    ("xref", "XREF", "Cross References", "definition.references"),
    ("mskb", "MSKB"),
    ("iava", "definition.iava"),
    ("iavb", "definition.iavb"),
    ("iavm", "definition.iavm"),
    ("iavt", "definition.iavt"),
    ("cpe", "CPE", "definition.cpe"),
    ("cvss_vector", "CVSS Vector", "CVSS V2 Vector", "definition.cvss2.base_vector"),
    ("cvss_temporal_vector", "CVSS Temporal Vector", "definition.cvss2.temporal_vector"),
    ("cvss3_vector", "CVSS3 Vector", "CVSS V3 Vector", "definition.cvss3.base_vector"),
    ("cvss3_temporal_vector", "CVSS3 Temporal Vector", "definition.cvss3.temporal_vector"),
    ("cvss4_vector", "CVSS V4 Vector", "CVSS v4.0 Base Vector", "definition.cvss4.base_vector"),
    ("cvss4_threat_vector", "CVSS V4 Threat Vector", "definition.cvss4.threat_vector"),
    ("stig_severity", "STIG Severity", "definition.stig_severity"),
    ("exploitability_ease", "Exploit Ease", "definition.exploitability_ease"),
    ("exploit_frameworks", "Exploit Frameworks"),
    ("plugin_publication_date", "Plugin Publication Date", "definition.plugin_published"),
    ("plugin_modification_date", "Plugin Modification Date", "definition.plugin_updated"),
    ("vuln_publication_date", "Vuln Publication Date", "definition.vulnerability_published"),
    ("patch_publication_date", "Patch Publication Date", "definition.patch_published"),
    ("plugin_type", "Plugin Type", "Check Type", "definition.type"),
    ("malware", "definition.malware"),
    ("age_of_vuln", "definition.vpr.drivers_age_of_vulns_low"),
    ("exploit_code_maturity", "definition.vpr.drivers_exploit_code_maturity"),
    ("product_coverage", "definition.vpr.drivers_product_coverage"),
    ("threat_intensity_last_28", "definition.vpr.drivers_threat_intensity"),
    ("threat_recency", "definition.vpr.drivers_threat_recency_low"),
    ("threat_sources_last_28", "definition.vpr.drivers_threat_sources"),
    ("cvss_v3_impact_score", "definition.vpr.drivers_cvss3_impact_score"),
)

# The same of scores, which have lost their decimal point in some files.
SCORES: tuple[tuple[str, ...], ...] = (
    (
        "cvss_base_score",
        "CVSS v2.0 Base Score",
        "CVSS V2 Base Score",
        "CVSS Base Score",
        "CVSS",
        "definition.cvss2.base_score",
    ),
    (
        "cvss_temporal_score",
        "CVSS v2.0 Temporal Score",
        "CVSS V2 Temporal Score",
        "CVSS Temporal Score",
        "definition.cvss2.temporal_score",
    ),
    (
        "cvss3_base_score",
        "CVSS v3.0 Base Score",
        "CVSS V3 Base Score",
        "CVSS3 Base Score",
        "CVSSv3",
        "definition.cvss3.base_score",
    ),
    (
        "cvss3_temporal_score",
        "CVSS v3.0 Temporal Score",
        "CVSS V3 Temporal Score",
        "CVSS3 Temporal Score",
        "definition.cvss3.temporal_score",
    ),
    (
        "cvss4_base_score",
        "CVSS v4.0 Base Score",
        "CVSS V4 Base Score",
        "CVSS4 Base Score",
        "definition.cvss4.base_score",
    ),
    ("cvss4_threat_score", "CVSS v4.0 Base+Threat Score", "CVSS V4 Threat Score", "definition.cvss4.threat_score"),
    (
        "vpr_score",
        "VPR Score",
        "VPR",
        "Vulnerability Priority Rating",
        "Vulnerability Priority Rating (VPR)",
        "definition.vpr.score",
    ),
    ("epss_score", "EPSS Score", "EPSS", "definition.epss.score"),
)

# The same of what is either so or not.
FLAGS: tuple[tuple[str, ...], ...] = (
    ("exploit_available", "Exploit Available", "Exploit?"),
    ("exploit_framework_metasploit", "Metasploit"),
    ("exploit_framework_core", "Core Impact", "Core Exploits"),
    ("exploit_framework_canvas", "CANVAS"),
    ("exploit_framework_d2_elliot", "D2 Elliot"),
    ("exploit_framework_exploithub", "ExploitHub"),
    ("exploited_by_malware", "Exploited by Malware", "definition.exploited_by_malware"),
    ("exploited_by_nessus", "Exploited by Nessus", "definition.exploited_by_nessus"),
    ("in_the_news", "In The News", "definition.in_the_news"),
    ("unsupported_by_vendor", "Unsupported By Vendor", "definition.unsupported_by_vendor"),
    ("default_account", "Default Account", "default_account"),
)

PLUGIN_ID = ("Plugin ID", "Plugin", "definition.id")
NAME = ("Name", "Plugin Name", "definition.name")
FAMILY = ("Plugin Family", "Family", "definition.family")
SEVERITY = ("Risk", "severity", "definition.severity")
OUTPUT = ("Plugin Output", "Plugin Text", "output")
PORT = ("Port", "asset.port")
PROTOCOL = ("Protocol",)
SERVICE = ("Service",)
STATE = ("Vulnerability State", "state")
TAGS = ("asset.tags",)

HOST = ("Host", "asset.name", "IP Address", "asset.host_name", "DNS Name", "asset.display_fqdn", "NetBIOS Name")

# Property of a host, then the columns that have it; all of them count.
HOST_TAGS: tuple[tuple[str, ...], ...] = (
    (
        "host-ip",
        "IP Address",
        "asset.display_ipv4_address",
        "asset.display_ipv6_address",
        "asset.ipv4_addresses",
        "asset.ipv6_addresses",
    ),
    ("host-fqdn", "FQDN", "DNS Name", "asset.display_fqdn"),
    ("hostname", "asset.host_name"),
    ("netbios-name", "NetBIOS Name", "NetBios", "asset.netbios_name"),
    ("mac-address", "MAC Address", "asset.display_mac_address"),
    ("operating-system", "OS", "asset.operating_system", "asset.operating_systems"),
    ("system-type", "System Type", "asset.system_type"),
)

# What is told of one place only, with what it is called in the notes.
NOTES: tuple[tuple[str, ...], ...] = (
    ("State", *STATE),
    ("First seen", "First Discovered", "First Found", "first_observed"),
    ("Last seen", "Last Observed", "Last Found", "last_seen"),
    ("Accepted risk", "Accept Risk Comment"),
    ("Recast risk", "Recast Risk Comment", "recast_reason"),
    ("Risk modified", "Modification", "risk_modified"),
    ("Repository", "Repository"),
)

# All that tells what the plugin is, and all that tells what the host is.
OF_PLUGIN = (
    *(name for table in (TEXTS, SCORES, FLAGS) for row in table for name in row[1:]),
    *(name for names in (PLUGIN_ID, NAME, FAMILY, SEVERITY) for name in names),
)
OF_HOST = (*HOST, *(name for row in HOST_TAGS for name in row[1:]), *TAGS)

# About the table, the scan or the scanner's own records: known, and not kept.
_PASSED_OVER = (
    "Agent ID", "Host ID", "Host Start", "Host End", "Host Scan Schedule ID", "Host Scan ID", "Indexed At",
    "Last Authenticated Results Date", "Last Unauthenticated Results Date", "Tracked", "Original Severity",
    "Plugin Family ID", "Plugin Version", "Version", "Checks for Malware", "Patch Available", "Last Fixed",
    "Total", "Host Total", "age_in_days", "asset.id", "asset.network.id", "asset.network.name", "asset_inventory",
    "asset.last_authenticated_scan_time", "asset.last_licensed_scan_time", "definition.plugin_version",
    "definition.vpr.drivers_age_of_vulns_high", "definition.vpr.drivers_threat_recency_high", "id",
    "scan.id",
)  # fmt: skip

KNOWN = frozenset(
    (
        *OF_PLUGIN,
        *OF_HOST,
        *(name for row in NOTES for name in row[1:]),
        *(name for names in (OUTPUT, PORT, PROTOCOL, SERVICE) for name in names),
        *_PASSED_OVER,
    )
)
