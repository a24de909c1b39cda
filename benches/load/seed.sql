-- What is measured on; the same every time. 10 providers, 50 models and a catalogue of 4,500, 2,000
-- agents, :circles circles of 20 active and 5 ended memberships, circle-large with 500 members, and
-- 100 empty circles that only the additions touch. A few rows of each kind lack what may be null.
-- Foreign keys and triggers rest meanwhile: rows are made whole, and two million of them in minutes.
SET session_replication_role = replica;
SET timezone = 'UTC';

INSERT INTO providers (id, name, api_type, api_key_env, base_url, created_at, updated_at)
SELECT i, 'provider-' || i, (ARRAY['openai', 'anthropic', 'google'])[1 + i % 3], 'PROVIDER_' || i || '_KEY',
       'https://' || i || '.example',
       timestamptz '2026-01-01' + i * interval '1 minute', timestamptz '2026-01-01' + i * interval '1 minute'
FROM generate_series(1, 10) i;

INSERT INTO models (id, provider_id, model_name, model_alias, mode, input_price, output_price, context_window,
  max_output, supports_tools, release_date, created_at, updated_at)
SELECT i, 1 + i % 10, 'model-' || i || '-2026-01-01', CASE WHEN i % 25 <> 0 THEN 'Model ' || i END, 'chat',
       i * 12500000::bigint, i * 100000000::bigint, 200000, 8192, i % 3 <> 0, CASE WHEN i % 4 <> 0 THEN date '2025-01-01' + i % 365 END,
       timestamptz '2026-01-02' + i * interval '1 minute', timestamptz '2026-01-02' + i * interval '1 minute'
FROM generate_series(1, 4550) i;

INSERT INTO agents (id, name, role, model_id, system_prompt, base_prompt, skill_names, competencies, can_review,
  temperature, max_tokens, status, created_at, updated_at)
SELECT i, 'Agent ' || i, CASE WHEN i % 7 <> 0 THEN 'role of ' || i END, CASE WHEN i % 100 <> 0 THEN 1 + i % 50 END,
       'You are "Agent ' || i || '", a careful assistant — réponds en français.' || E'\n' ||
         (SELECT string_agg(md5('s' || i || '-' || k), ' ' ORDER BY k) FROM generate_series(1, 10) k),
       CASE WHEN i % 50 <> 0 THEN 'Base: work with care.' || E'\n\t' ||
         (SELECT string_agg(md5('b' || i || '-' || k), ' ' ORDER BY k) FROM generate_series(1, 11) k) END,
       (SELECT jsonb_agg((ARRAY['git', 'code', 'filesystem', 'shell', 'web', 'http', 'test', 'pdf', 'email', 'calendar',
          'image', 'cloud'])[1 + (i * 5 + k * 7) % 12] ORDER BY k) FROM generate_series(1, 5) k),
       '["rust", "review"]', '[]', CASE WHEN i % 2 = 0 THEN 0.25 END, CASE WHEN i % 3 = 0 THEN 4096 END,
       (ARRAY['idle', 'busy', 'offline'])[1 + i % 3],
       timestamptz '2026-01-03' + i * interval '1 minute', timestamptz '2026-01-03' + i * interval '1 minute'
FROM generate_series(1, 2000) i;

INSERT INTO circles (id, name, display_name, description, status, require_review, auto_route, settings, created_at,
  updated_at)
SELECT i, CASE WHEN i <= :circles THEN 'circle-' || i WHEN i = :circles + 1 THEN 'circle-large'
         ELSE 'write-' || i - :circles - 1 END,
       'Circle ' || i, 'Circle number ' || i || ' works on topic ' || md5('d' || i) || '.',
       (ARRAY['stopped', 'running', 'paused'])[1 + i % 3], i % 2 = 0, i % 5 <> 0,
       CASE WHEN i % 3 = 0 THEN '{"instructions": "Be kind, be brief."}' ELSE '{}' END::jsonb,
       timestamptz '2026-01-04' + i * interval '1 minute', timestamptz '2026-01-04' + i * interval '1 minute'
FROM generate_series(1, :circles + 101) i;

-- 79 has no factor in common with 2,000, so that the agents of a circle differ. The members of a
-- circle lie on many pages, as where people join over time.
INSERT INTO members (id, circle_id, agent_id, role, competencies, permissions, is_active, joined_at, left_at)
SELECT k::bigint * :circles + c, c, 1 + (c * 37 + k * 79) % 2000,
       CASE WHEN k = 0 THEN 'lead' WHEN k % 4 = 1 THEN 'specialist' WHEN k % 4 = 2 THEN 'reviewer' ELSE 'member' END,
       CASE WHEN k % 2 = 0 THEN '["rust"]' ELSE '[]' END::jsonb,
       CASE WHEN k % 3 = 0 THEN '{"merge": true}' ELSE '{}' END::jsonb, k % 5 <> 4,
       timestamptz '2026-02-01' + (c % 1000 * 25 + k) * interval '1 second',
       CASE WHEN k % 5 = 4 THEN timestamptz '2026-03-01' END
FROM generate_series(0, 24) k, generate_series(1, :circles) c;

INSERT INTO members (id, circle_id, agent_id, role, joined_at)
SELECT 25::bigint * :circles + k, :circles + 1, k, CASE k WHEN 1 THEN 'lead' ELSE 'member' END,
       timestamptz '2026-02-01' + k * interval '1 second'
FROM generate_series(1, 500) k;

UPDATE circles SET member_count = (SELECT count(*) FROM members m WHERE m.circle_id = circles.id AND m.is_active);

SELECT setval(pg_get_serial_sequence(name, 'id'), id) FROM (VALUES
  ('providers', 10), ('models', 4550), ('agents', 2000), ('circles', :circles + 101),
  ('members', 25::bigint * :circles + 500)) AS last (name, id) \g /dev/null
VACUUM ANALYZE;
