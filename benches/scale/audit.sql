-- :entries entries of the last 365 days.
INSERT INTO audit_entries (at, action, resource, resource_id, name, fields, revision, request_id)
  SELECT now() - interval '365 days' * (1 - n::float8 / :entries), 'update', 'agent', n % 1000, 'agent ' || n % 1000,
    '["role"]', n, gen_random_uuid()
  FROM generate_series(1, :entries) n;
VACUUM ANALYZE audit_entries;
