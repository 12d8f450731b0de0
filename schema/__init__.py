"""Table definitions, one module per owning service: no logic.

`tenant_id` leads every key and index; row-level security on it is the second wall behind the services
(schema/security.py).
"""
