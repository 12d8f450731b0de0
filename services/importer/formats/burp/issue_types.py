"""The numbers of Burp's issue types by their names, for reports that do not say them.

With them an issue is the same finding whichever report it stands in. PortSwigger publishes the list ("Vulnerabilities
detected by Burp Scanner"); what is not in it, such as issues of extensions, is known by its name.
"""

from __future__ import annotations

import re

from services.importer.formats.kit.values import line

_NUMBER_IN_LINK = re.compile(r"/([0-9a-fA-F]{8})_")

# Of three types each: DOM-based, reflected DOM-based, stored DOM-based.
_DOM_BASED = {
    "cross-site scripting": 0x00200310,
    "javascript injection": 0x00200320,
    "client-side sql injection": 0x00200330,
    "websocket url poisoning": 0x00200340,
    "local file path manipulation": 0x00200350,
    "client-side xpath injection": 0x00200360,
    "client-side json injection": 0x00200370,
    "open redirection": 0x00500110,
    "cookie manipulation": 0x00500B00,
    "ajax request header manipulation": 0x00500C00,
    "denial of service": 0x00500D00,
    "html5 web message manipulation": 0x00500E00,
    "html5 storage manipulation": 0x00500F00,
    "link manipulation": 0x00501000,
    "document domain manipulation": 0x00501100,
    "dom data manipulation": 0x00501200,
}

# Each with the type of what is reflected, then of what is stored.
_REFLECTED_AND_STORED = {
    "cross-site scripting": (0x00200300, 0x00200100),
    "input returned in response": (0x00400C00, 0x00400B00),
    "suspicious input transformation": (0x00400D00, 0x00400E00),
    "open redirection": (0x00500100, 0x00500101),
    "link manipulation": (0x00501003, 0x00501004),
    "css injection": (0x00501300, 0x00501301),
    "client-side http parameter pollution": (0x00501400, 0x00501401),
    "form action hijacking": (0x00501500, 0x00501501),
}

_OTHERS = {
    "os command injection": 0x00100100,
    "sql injection": 0x00100200,
    "sql injection (second order)": 0x00100210,
    "asp.net tracing enabled": 0x00100280,
    "file path traversal": 0x00100300,
    "xml external entity injection": 0x00100400,
    "ldap injection": 0x00100500,
    "xpath injection": 0x00100600,
    "xml injection": 0x00100700,
    "asp.net debugging enabled": 0x00100800,
    "broken access control": 0x00100850,
    "http put method is enabled": 0x00100900,
    "out-of-band resource load (http)": 0x00100A00,
    "file path manipulation": 0x00100B00,
    "php code injection": 0x00100C00,
    "server-side javascript code injection": 0x00100D00,
    "perl code injection": 0x00100E00,
    "ruby code injection": 0x00100F00,
    "python code injection": 0x00100F10,
    "expression language injection": 0x00100F20,
    "unidentified code injection": 0x00101000,
    "server-side template injection": 0x00101080,
    "ssi injection": 0x00101100,
    "http request smuggling": 0x00200140,
    "client-side desync": 0x00200141,
    "web cache poisoning": 0x00200180,
    "http response header injection": 0x00200200,
    "client-side template injection": 0x00200308,
    "client-side prototype pollution": 0x00200316,
    "path-relative style sheet import": 0x00200328,
    "flash cross-domain policy": 0x00200400,
    "silverlight cross-domain policy": 0x00200500,
    "content security policy: allowlisted script resources": 0x00200503,
    "content security policy: allows untrusted script execution": 0x00200504,
    "content security policy: allows untrusted style execution": 0x00200505,
    "content security policy: malformed syntax": 0x00200506,
    "content security policy: allows clickjacking": 0x00200507,
    "content security policy: allows form hijacking": 0x00200508,
    "content security policy: not enforced": 0x00200509,
    "graphql endpoint found": 0x00200510,
    "graphql endpoint discovered": 0x00200511,
    "graphql introspection enabled": 0x00200512,
    "graphql suggestions enabled": 0x00200513,
    "graphql content type not validated": 0x00200514,
    "cross-origin resource sharing": 0x00200600,
    "cross-origin resource sharing: arbitrary origin trusted": 0x00200601,
    "cross-origin resource sharing: unencrypted origin trusted": 0x00200602,
    "cross-origin resource sharing: all subdomains trusted": 0x00200603,
    "web cache deception": 0x00200650,
    "cross-site request forgery": 0x00200700,
    "smtp header injection": 0x00200800,
    "jwt signature not verified": 0x00200900,
    "jwt none algorithm supported": 0x00200901,
    "jwt self-signed jwk header supported": 0x00200902,
    "jwt weak hmac secret": 0x00200903,
    "jwt arbitrary jku header supported": 0x00200904,
    "jwt arbitrary x5u header supported": 0x00200905,
    "cleartext submission of password": 0x00300100,
    "external service interaction (dns)": 0x00300200,
    "external service interaction (http)": 0x00300210,
    "external service interaction (smtp)": 0x00300220,
    "referer-dependent response": 0x00400100,
    "spoofable client ip address": 0x00400110,
    "user agent-dependent response": 0x00400120,
    "password returned in later response": 0x00400200,
    "password submitted using get method": 0x00400300,
    "password returned in url query string": 0x00400400,
    "sql statement in request parameter": 0x00400480,
    "cross-domain post": 0x00400500,
    "asp.net viewstate without mac enabled": 0x00400600,
    "xml entity expansion": 0x00400700,
    "long redirection response": 0x00400800,
    "serialized object in http message": 0x00400900,
    "duplicate cookies set": 0x00400A00,
    "request url override": 0x00400F00,
    "vulnerable javascript dependency": 0x00500080,
    "tls cookie without secure flag set": 0x00500200,
    "ssl cookie without secure flag set": 0x00500200,
    "cookie scoped to parent domain": 0x00500300,
    "cross-domain referer leakage": 0x00500400,
    "cross-domain script include": 0x00500500,
    "cookie without httponly flag set": 0x00500600,
    "session token in url": 0x00500700,
    "password field with autocomplete enabled": 0x00500800,
    "password value set in cookie": 0x00500900,
    "file upload functionality": 0x00500980,
    "frameable response (potential clickjacking)": 0x005009A0,
    "browser cross-site scripting filter disabled": 0x005009B0,
    "http trace method is enabled": 0x00500A00,
    "database connection string disclosed": 0x00600080,
    "source code disclosure": 0x006000B0,
    "backup file": 0x006000D8,
    "directory listing": 0x00600100,
    "email addresses disclosed": 0x00600200,
    "private ip addresses disclosed": 0x00600300,
    "social security numbers disclosed": 0x00600400,
    "credit card numbers disclosed": 0x00600500,
    "private key disclosed": 0x00600550,
    "robots.txt file": 0x00600600,
    "json web key set disclosed": 0x00600700,
    "jwt private key disclosed": 0x00600800,
    "cacheable https response": 0x00700100,
    "base64-encoded data in parameter": 0x00700200,
    "multiple content types specified": 0x00800100,
    "html does not specify charset": 0x00800200,
    "html uses unrecognized charset": 0x00800300,
    "content type incorrectly stated": 0x00800400,
    "content type is not specified": 0x00800500,
    "tls certificate": 0x01000100,
    "ssl certificate": 0x01000100,
    "unencrypted communications": 0x01000200,
    "strict transport security not enforced": 0x01000300,
    "mixed content": 0x01000400,
    "hidden http 2": 0x01000500,
}

_NUMBERS = {
    **_OTHERS,
    **{f"{name} (dom-based)": number for name, number in _DOM_BASED.items()},
    **{f"{name} (reflected dom-based)": number + 1 for name, number in _DOM_BASED.items()},
    **{f"{name} (stored dom-based)": number + 2 for name, number in _DOM_BASED.items()},
    **{f"{name} (reflected)": numbers[0] for name, numbers in _REFLECTED_AND_STORED.items()},
    **{f"{name} (stored)": numbers[1] for name, numbers in _REFLECTED_AND_STORED.items()},
}


def number_of(name: str) -> str:
    """The number of an issue type as reports in XML have it, decimal; "" for a name that is not PortSwigger's."""
    number = _NUMBERS.get(line(name).lower())
    return str(number) if number is not None else ""


def number_in_link(markup: str) -> str:
    """The number in a link to PortSwigger's description of a type (`…/01000300_stricttransport…`), decimal, or ""."""
    found = _NUMBER_IN_LINK.search(markup)
    return str(int(found[1], 16)) if found else ""
