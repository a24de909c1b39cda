-- 200 agents on one model, 100 circles of 10 of them, a conversation for the messages, and :old entries from before
-- what pruning keeps.
INSERT INTO providers (name, api_type, created_at, updated_at) VALUES ('p', 'openai', now(), now());
INSERT INTO models (provider_id, model_name, created_at, updated_at) VALUES (1, 'm', now(), now());
INSERT INTO agents (name, role, system_prompt, model_id, created_at, updated_at)
  SELECT 'agent ' || n, 'tester', repeat('Be brief and precise. ', 20), 1, now(), now() FROM generate_series(1, 200) n;
INSERT INTO circles (name, description, created_at, updated_at)
  SELECT 'circle-' || n, repeat('What this team is for. ', 8), now(), now() FROM generate_series(1, 100) n;
INSERT INTO members (circle_id, agent_id, joined_at)
  SELECT c, 1 + (c * 10 + m) % 180, now() FROM generate_series(1, 100) c, generate_series(1, 10) m;
INSERT INTO audit_entries (at, action, resource, resource_id, name, fields)
  SELECT now() - interval '200 days' + n * interval '1 minute', 'update', 'agent', 1 + n % 200, 'agent ' || 1 + n % 200, '["role"]'
  FROM generate_series(1, :old) n;
ANALYZE;
