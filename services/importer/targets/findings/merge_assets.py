"""Assets: which asset of the client each staged reference is.

Two assets are the same when they share a name, a hostname (without case) or an address. An existing asset wins over a
new one, the oldest existing one over the others; references of one file that share a key become one asset.
"""

from __future__ import annotations

from services.importer.targets.findings.merge import Merge

# Labels order the candidates: existing assets (negative, oldest first), then references in the order of the file.
_EXISTING = 2**62


async def merge_assets(merge: Merge) -> int:
    """Leaves merge_refs(ref, asset_id) and merge_assets(asset_id, is_new, is_changed, ordinal, …).

    Answers how many references matched several existing assets.
    """
    await _label(merge)
    conflicts = await merge.count(
        """
        SELECT count(*) FROM (SELECT n FROM merge_asset_keys WHERE asset_id IS NOT NULL
                              GROUP BY n HAVING count(DISTINCT asset_id) > 1) c
        """
    )
    await _gather_ports(merge)
    await _gather_lists(merge)
    await _gather(merge)
    await _update_existing(merge)
    await _insert_new(merge)
    await _register_keys(merge)
    return conflicts


async def _label(merge: Merge) -> None:
    await merge.table(
        "merge_refs",
        """
        SELECT row_number() OVER (ORDER BY min(ordinal), ref) AS n, ref, NULL::bigint AS label, NULL::bigint AS asset_id
        FROM {assets} GROUP BY ref
        """,
    )
    await merge.table(
        "merge_asset_keys",
        """
        SELECT k.n, k.kind, k.value, t.asset_id
        FROM (SELECT DISTINCT r.n, split_part(key, ':', 1) AS kind, substr(key, strpos(key, ':') + 1) AS value
              FROM {assets} s JOIN merge_refs r USING (ref), unnest(s.keys) key) k
        LEFT JOIN asset_keys t
               ON t.tenant_id = :tenant AND t.client_id = :client AND t.kind = k.kind AND t.value = k.value
        """,
    )
    await merge.run(
        """
        UPDATE merge_refs r SET label = COALESCE(k.oldest - :existing, r.n)
        FROM (SELECT r.n, min(k.asset_id) AS oldest
              FROM merge_refs r LEFT JOIN merge_asset_keys k USING (n) GROUP BY r.n) k
        WHERE k.n = r.n
        """,
        existing=_EXISTING,
    )
    # References that share a key nobody owns yet take the lowest label among them, until no label moves.
    while (
        await merge.run(
            """
            UPDATE merge_refs r SET label = lowest.label
            FROM (SELECT k.n, min(g.label) AS label
                  FROM merge_asset_keys k
                  JOIN (SELECT k.kind, k.value, min(r.label) AS label
                        FROM merge_asset_keys k JOIN merge_refs r USING (n)
                        WHERE k.asset_id IS NULL GROUP BY k.kind, k.value HAVING count(*) > 1) g USING (kind, value)
                  GROUP BY k.n) lowest
            WHERE lowest.n = r.n AND lowest.label < r.label
            """
        )
    ).rowcount:
        pass
    await merge.table(
        "merge_new_assets",
        """
        SELECT label, nextval('assets_asset_id_seq') AS asset_id
        FROM (SELECT DISTINCT label FROM merge_refs WHERE label > 0 ORDER BY label) l
        """,
    )
    await merge.run("UPDATE merge_refs SET asset_id = label + :existing WHERE label < 0", existing=_EXISTING)
    await merge.run("UPDATE merge_refs r SET asset_id = n.asset_id FROM merge_new_assets n WHERE n.label = r.label")


async def _gather_ports(merge: Merge) -> None:
    """Leaves merge_ports(asset_id, ports), from the places of findings, and merge_told_ports(asset_id, ports).

    The latter has the ports of an asset that the file describes more than once, as a table with a row a port does.
    """
    await merge.table(
        "merge_ports",
        """
        SELECT asset_id, jsonb_object_agg(port || '/' || protocol, entry) AS ports
        FROM (SELECT DISTINCT ON (r.asset_id, s.port, s.protocol) r.asset_id, s.port, s.protocol,
                     jsonb_build_object('number', s.port, 'protocol', s.protocol,
                                        'service', s.service, 'version', '') AS entry
              FROM {affected} s JOIN merge_refs r ON r.ref = s.asset
              WHERE s.port > 0
              ORDER BY r.asset_id, s.port, s.protocol, s.service = '', s.ordinal) p
        GROUP BY asset_id
        """,
    )

    await merge.table(
        "merge_told_ports",
        """
        SELECT asset_id, jsonb_object_agg(key, value) AS ports
        FROM (SELECT DISTINCT ON (asset_id, e.key) asset_id, e.key, e.value
              FROM {assets} s
              JOIN merge_refs r USING (ref)
              JOIN (SELECT asset_id FROM {assets} JOIN merge_refs USING (ref) WHERE ports <> '{{}}'
                    GROUP BY asset_id HAVING count(*) > 1) several USING (asset_id),
                   jsonb_each(s.ports) e
              ORDER BY asset_id, e.key, e.value->>'service' = '', s.ordinal) p
        GROUP BY asset_id
        """,
    )


async def _gather_lists(merge: Merge) -> None:
    """Leaves merge_lists(asset_id, ips, operating_systems, tags), from all references to the asset."""
    await merge.table(
        "merge_lists",
        """
        SELECT r.asset_id,
               COALESCE(array_agg(DISTINCT e.value) FILTER (WHERE e.kind = 1), '{{}}') AS ips,
               COALESCE(array_agg(DISTINCT e.value) FILTER (WHERE e.kind = 2), '{{}}') AS operating_systems,
               COALESCE(array_agg(DISTINCT e.value) FILTER (WHERE e.kind = 3), '{{}}') AS tags
        FROM {assets} s JOIN merge_refs r USING (ref),
             LATERAL (SELECT 1 AS kind, unnest(s.ips) AS value
                      UNION ALL SELECT 2, unnest(s.operating_systems)
                      UNION ALL SELECT 3, unnest(s.tags || CAST(:tags AS text[]))) e
        GROUP BY r.asset_id
        """,
        tags=list(merge.job.asset_tags),
    )


async def _gather(merge: Merge) -> None:
    """Leaves merge_assets: all that the file says of each asset, in one row, and whether that is news."""
    await merge.table(
        "merge_assets",
        """
        WITH first AS (
            SELECT r.asset_id, min(s.ordinal) AS ordinal,
                   (array_agg(s.name ORDER BY s.ordinal))[1] AS name,
                   COALESCE((array_agg(s.hostname ORDER BY s.ordinal)
                             FILTER (WHERE s.hostname <> ''))[1], '') AS hostname,
                   COALESCE((array_agg(s.mac ORDER BY s.ordinal) FILTER (WHERE s.mac <> ''))[1], '') AS mac,
                   COALESCE((array_agg(s.netbios ORDER BY s.ordinal) FILTER (WHERE s.netbios <> ''))[1], '') AS netbios,
                   COALESCE((array_agg(s.type ORDER BY s.ordinal) FILTER (WHERE s.type <> ''))[1], '') AS type,
                   COALESCE((array_agg(s.description ORDER BY s.ordinal)
                             FILTER (WHERE s.description <> ''))[1], '') AS description,
                   COALESCE((array_agg(s.ports ORDER BY s.ordinal)
                             FILTER (WHERE s.ports <> '{{}}'))[1], '{{}}') AS ports
            FROM {assets} s JOIN merge_refs r USING (ref) GROUP BY r.asset_id)
        SELECT f.asset_id, f.ordinal, f.name, f.hostname, f.mac, f.netbios, f.type, f.description,
               COALESCE(p.ports, '{{}}') || COALESCE(o.ports, f.ports) AS ports,
               COALESCE(l.ips, '{{}}') AS ips, COALESCE(l.operating_systems, '{{}}') AS operating_systems,
               COALESCE(l.tags, '{{}}') AS tags, t.asset_id IS NULL AS is_new,
               t.asset_id IS NOT NULL AND NOT (
                   t.ips @> COALESCE(l.ips, '{{}}') AND t.operating_systems @> COALESCE(l.operating_systems, '{{}}')
                   AND t.tags @> COALESCE(l.tags, '{{}}')
                   AND jsonb_exists_all(t.ports, ARRAY(SELECT jsonb_object_keys(
                       COALESCE(p.ports, '{{}}') || COALESCE(o.ports, f.ports))))
                   AND (t.hostname <> '' OR f.hostname = '') AND (t.mac <> '' OR f.mac = '')
                   AND (t.netbios <> '' OR f.netbios = '') AND (t.type <> '' OR f.type = '')) AS is_changed
        FROM first f
        LEFT JOIN merge_ports p USING (asset_id)
        LEFT JOIN merge_told_ports o USING (asset_id)
        LEFT JOIN merge_lists l USING (asset_id)
        LEFT JOIN assets t ON t.tenant_id = :tenant AND t.asset_id = f.asset_id
        """,
    )


async def _update_existing(merge: Merge) -> None:
    """Unites lists and ports, and fills what was empty. What people may have edited stays."""
    await merge.run(
        """
        INSERT INTO before_images (tenant_id, import_id, kind, row_id, image)
        SELECT :tenant, :import_id, 'asset', t.asset_id, to_jsonb(t)
        FROM assets t JOIN merge_assets m ON m.asset_id = t.asset_id AND m.is_changed
        WHERE t.tenant_id = :tenant
        """
    )
    await merge.run(
        """
        UPDATE assets t SET
            ips = ARRAY(SELECT DISTINCT v FROM unnest(t.ips || m.ips) v ORDER BY v),
            operating_systems = ARRAY(
                SELECT DISTINCT v FROM unnest(t.operating_systems || m.operating_systems) v ORDER BY v),
            tags = ARRAY(SELECT DISTINCT v FROM unnest(t.tags || m.tags) v ORDER BY v),
            ports = m.ports || t.ports,
            hostname = COALESCE(NULLIF(t.hostname, ''), m.hostname),
            mac = COALESCE(NULLIF(t.mac, ''), m.mac),
            netbios = COALESCE(NULLIF(t.netbios, ''), m.netbios),
            type = COALESCE(NULLIF(t.type, ''), m.type),
            updated_at = now()
        FROM merge_assets m
        WHERE t.tenant_id = :tenant AND t.asset_id = m.asset_id AND m.is_changed
        """
    )
    await merge.run(
        """
        INSERT INTO sightings (tenant_id, kind, row_id, import_id)
        SELECT :tenant, 'asset', asset_id, :import_id FROM merge_assets WHERE NOT is_new AND NOT is_changed
        """
    )


async def _insert_new(merge: Merge) -> None:
    await merge.run(
        """
        INSERT INTO assets (tenant_id, asset_id, client_id, name, hostname, ips, mac, netbios, operating_systems, type,
                            description, ports, tags, import_id)
        SELECT :tenant, asset_id, :client, name, hostname, ips, mac, netbios, operating_systems, type,
               description, ports, tags, :import_id
        FROM merge_assets WHERE is_new ORDER BY asset_id
        """
    )


async def _register_keys(merge: Merge) -> None:
    await merge.run(
        """
        INSERT INTO asset_keys (tenant_id, client_id, kind, value, asset_id, import_id)
        SELECT DISTINCT ON (k.kind, k.value) :tenant, :client, k.kind, k.value, r.asset_id, :import_id
        FROM merge_asset_keys k JOIN merge_refs r USING (n)
        WHERE k.asset_id IS NULL
        ORDER BY k.kind, k.value, r.asset_id
        """
    )
