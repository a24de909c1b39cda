-- :circles circles that all show one agent, on one model of one provider. A second agent is in all of them
-- too, to be deleted. Without triggers: they would touch each circle for each member.
SET session_replication_role = replica;
TRUNCATE providers, models, agents, circles, members RESTART IDENTITY CASCADE;
INSERT INTO providers (name, api_type, created_at, updated_at) VALUES ('p', 'openai', now(), now());
INSERT INTO models (provider_id, model_name, created_at, updated_at) VALUES (1, 'm', now(), now());
INSERT INTO agents (name, role, system_prompt, model_id, created_at, updated_at)
  SELECT 'agent ' || n, 'tester', repeat('Be brief and precise. ', 20), 1, now(), now() FROM generate_series(1, 2) n;
INSERT INTO circles (name, description, settings, member_count, created_at, updated_at)
  SELECT 'circle-' || n, repeat('What this team is for. ', 8), '{"instructions": "Answer in English."}', 2, now(), now()
  FROM generate_series(1, :circles) n;
INSERT INTO members (circle_id, agent_id, joined_at) SELECT c.id, a.id, now() FROM circles c, agents a;
RESET session_replication_role;
VACUUM ANALYZE;
