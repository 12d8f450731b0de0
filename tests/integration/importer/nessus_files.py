"""Small Nessus files, made where they are needed."""

from __future__ import annotations


def nessus(hosts: int = 2, plugins: int = 3, *, start: int = 0, output: str = "seen") -> bytes:
    """A whole report: each plugin once on each host."""
    parts = ['<?xml version="1.0" ?>\n<NessusClientData_v2>\n<Report name="test">\n']
    for host in range(start, start + hosts):
        parts.append(
            f'<ReportHost name="host-{host}"><HostProperties><tag name="host-ip">10.0.{host // 250}.{host % 250}</tag>'
            "</HostProperties>\n"
        )
        for plugin in range(plugins):
            parts.append(
                f'<ReportItem port="443" svc_name="www" protocol="tcp" severity="{plugin % 5}" pluginID="{1000 + plugin}" '
                f'pluginName="Plugin {plugin}" pluginFamily="General"><description>About {plugin}</description>'
                f"<plugin_output>{output} on {host}</plugin_output></ReportItem>\n"
            )
        parts.append("</ReportHost>\n")
    parts.append("</Report>\n</NessusClientData_v2>\n")
    return "".join(parts).encode()
