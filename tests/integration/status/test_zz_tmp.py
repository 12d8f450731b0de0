import time, pytest
from hythe.dialects.plextrac.v2 import plextrac_pb2 as pb
from tests.integration.status.conftest import as_
@pytest.mark.timeout(900)
async def test_bench(api, rows):
    c=rows.client(); r=rows.report(c)
    t=time.time()
    rows.connection.execute("ALTER TABLE import_progress DISABLE TRIGGER ALL"); rows.connection.execute("ALTER TABLE import_claims DISABLE TRIGGER ALL")
    rows.connection.execute("""INSERT INTO imports (tenant_id, import_id, client_id, report_id, target, source, key, file_name, file_type,
      file_size, lane, state, user_id, user_email) SELECT 1, gen_random_uuid(), %s, %s, 'findings', 'nessus', 'k', 'f', 't', 5, 'small', 'SUCCEEDED', CASE WHEN n %% 3 = 0 THEN 7 ELSE n %% 500 END, 'x@y' FROM generate_series(1, 1000000) n""", [c, r])
    for x in ("import_progress","import_claims"):
        rows.connection.execute(f"INSERT INTO {x} (tenant_id, import_id) SELECT tenant_id, import_id FROM imports")
    print("seeded", time.time()-t)
    for analyzed in (False, True):
        if analyzed: rows.connection.execute("VACUUM ANALYZE")
        times=[]; token=""
        for n in range(400):
            t=time.perf_counter()
            reply=await api.plextrac.ListMyImports(pb.ListMyImportsRequest(page_token=token), metadata=as_())
            times.append(time.perf_counter()-t)
            token=reply[99]["key"] if n%2 else ""
        times.sort()
        print("analyzed", analyzed, len(reply), "p50 %.1f p99 %.1f max %.1f ms"%(times[200]*1e3,times[395]*1e3,times[-1]*1e3))
