//! Models that earlier versions imported: named by the keys of a price list, and marked as deprecated.

use migration::runner;

use super::{before, run, texts};

const ALL: &str = "SELECT p.name || ' ' || m.model_name || ' ' || coalesce(m.catalog_key, '-') || ' ' || m.revision \
     FROM models m JOIN providers p ON p.id = m.provider_id";

#[tokio::test]
async fn models_that_were_named_by_a_list_are_renamed_and_the_agents_keep_them() {
    before("m20261125_000001_name_models", async |db| {
        run(
            db,
            &[
                "INSERT INTO providers (name, api_type, created_at, updated_at) VALUES \
                 ('groq', 'x', $now, $now), ('perplexity', 'x', $now, $now), \
                 ('vertex_ai-models', 'x', $now, $now), ('Bedrock', 'x', $now, $now)",
                "INSERT INTO models (provider_id, model_name, created_at, updated_at) \
                 SELECT p.id, column2, $now, $now FROM (VALUES \
                 (1, 'groq/openai/oss'), (1, 'groq/used'), (1, 'used'), (1, 'groq/both'), (1, 'both'), \
                 (1, 'groq/none'), (1, 'none'), (1, 'groq/own'), (1, 'groq/renamed'), (1, 'openai/x'), \
                 (2, 'perplexity/perplexity/sonar'), (2, 'perplexity/sonar'), (3, 'vertex_ai/claude'), \
                 (4, 'bedrock/invoke/y'), (1, 'groq/')) AS listed JOIN providers p ON p.id = column1",
                "INSERT INTO agents (name, model_id, created_at, updated_at) \
                 SELECT model_name, id, $now, $now FROM models WHERE model_name IN ('groq/used', 'groq/both', 'both')",
                "INSERT INTO circles (name, created_at, updated_at) VALUES ('c', $now, $now), ('d', $now, $now)",
                "INSERT INTO members (circle_id, agent_id, joined_at) \
                 SELECT c.id, a.id, $now FROM circles c, agents a WHERE c.name = 'c'",
                "INSERT INTO audit_entries (at, action, resource, resource_id) \
                 SELECT $now, 'create', 'model', id FROM models WHERE model_name = 'groq/own'",
                "INSERT INTO audit_entries (at, action, resource, resource_id, fields) \
                 SELECT $now, 'update', 'model', id, '[\"mode\", \"model_name\"]' FROM models \
                 WHERE model_name = 'groq/renamed'",
            ],
        )
        .await;
        let revisions = "SELECT name || ' ' || revision FROM circles";
        let circles = texts(db, revisions).await;

        runner::up(db, Some(1)).await.expect("up");
        let renamed = [
            "Bedrock y bedrock/invoke/y 2",
            "groq both - 1",
            "groq groq/ - 1",
            "groq groq/own - 1",
            "groq groq/renamed - 1",
            "groq none - 1",
            "groq openai/oss groq/openai/oss 2",
            "groq openai/x - 1",
            "groq used groq/used 2",
            "perplexity perplexity/sonar perplexity/perplexity/sonar 2",
            "perplexity sonar perplexity/sonar 2",
            "vertex_ai-models claude vertex_ai/claude 2",
        ];
        assert_eq!(texts(db, ALL).await, renamed);
        let agents = "SELECT a.name || ' ' || m.model_name || ' ' || a.revision \
                      FROM agents a JOIN models m ON m.id = a.model_id";
        let on = ["both both 1", "groq/both both 2", "groq/used used 1"];
        assert_eq!(texts(db, agents).await, on);
        let shown = texts(db, revisions).await;
        assert_ne!(shown[0], circles[0], "the roster of c changed");
        assert_eq!(shown[1], circles[1], "the roster of d did not");
        let audit = "SELECT action || ' ' || resource || ' ' || CAST(fields AS text) FROM audit_entries \
                     WHERE resource_id IS NULL";
        assert_eq!(texts(db, audit).await, [r#"update catalog ["models"]"#]);

        runner::down(db, Some(1)).await.expect("down");
        let names = texts(db, &ALL.replace("coalesce(m.catalog_key, '-')", "'-'")).await;
        let restored = [
            "Bedrock bedrock/invoke/y - 3",
            "groq both - 1",
            "groq groq/ - 1",
            "groq groq/openai/oss - 3",
            "groq groq/own - 1",
            "groq groq/renamed - 1",
            "groq groq/used - 3",
            "groq none - 1",
            "groq openai/x - 1",
            "perplexity perplexity/perplexity/sonar - 3",
            "perplexity perplexity/sonar - 3",
            "vertex_ai-models vertex_ai/claude - 3",
        ];
        assert_eq!(names, restored);
        runner::up(db, Some(1)).await.expect("up again");
        let again = renamed.map(|row| match row.strip_suffix(" 2") {
            Some(row) => format!("{row} 4"),
            None => row.to_owned(),
        });
        assert_eq!(texts(db, ALL).await, again);
    })
    .await;
}

#[tokio::test]
async fn going_back_keeps_a_name_of_ones_own_and_does_not_collide() {
    before("m20261125_000001_name_models", async |db| {
        runner::up(db, Some(1)).await.expect("up");
        run(
            db,
            &[
                "INSERT INTO providers (name, api_type, created_at, updated_at) VALUES ('groq', 'x', $now, $now)",
                "INSERT INTO models (provider_id, model_name, catalog_key, created_at, updated_at) \
                 SELECT p.id, column1, column2, $now, $now FROM (VALUES \
                 ('a', 'groq/a'), ('groq/a', NULL), ('mine', 'groq/b'), ('c', 'groq/c'), ('d', 'd')) AS listed, \
                 providers p",
            ],
        )
        .await;
        runner::down(db, Some(1)).await.expect("down");
        let names = texts(db, "SELECT model_name FROM models").await;
        assert_eq!(names, ["a", "d", "groq/a", "groq/c", "mine"]);
    })
    .await;
}

#[tokio::test]
async fn a_mark_that_only_the_date_explains_goes_and_a_person_s_stays() {
    before("m20261125_000002_unmark_retired_models", async |db| {
        run(
            db,
            &[
                "INSERT INTO providers (name, api_type, created_at, updated_at) VALUES ('p', 'x', $now, $now)",
                "INSERT INTO models (provider_id, model_name, deprecation_date, is_deprecated, created_at, updated_at) \
                 SELECT id, 'imported', '2020-01-01', true, $now, $now FROM providers",
                "INSERT INTO models (provider_id, model_name, deprecation_date, is_deprecated, created_at, updated_at) \
                 SELECT id, 'marked', '2020-01-01', true, $now, $now FROM providers",
                "INSERT INTO models (provider_id, model_name, deprecation_date, is_deprecated, created_at, updated_at) \
                 SELECT id, 'created', '2020-01-01', true, $now, $now FROM providers",
                "INSERT INTO models (provider_id, model_name, deprecation_date, is_deprecated, created_at, updated_at) \
                 SELECT id, 'to come', '2999-01-01', true, $now, $now FROM providers",
                "INSERT INTO models (provider_id, model_name, is_deprecated, created_at, updated_at) \
                 SELECT id, 'without', true, $now, $now FROM providers",
                "INSERT INTO audit_entries (at, action, resource, resource_id) \
                 SELECT $now, 'create', 'model', id FROM models WHERE model_name = 'created'",
                "INSERT INTO audit_entries (at, action, resource, resource_id, fields) \
                 SELECT $now, 'update', 'model', id, '[\"is_deprecated\"]' FROM models WHERE model_name = 'marked'",
            ],
        )
        .await;
        let marked = "SELECT model_name || ' ' || revision FROM models WHERE is_deprecated";
        let all = ["created 1", "imported 1", "marked 1", "to come 1", "without 1"];
        assert_eq!(texts(db, marked).await, all);
        runner::up(db, Some(1)).await.expect("up");
        let of_people = ["created 1", "marked 1", "to come 1", "without 1"];
        assert_eq!(texts(db, marked).await, of_people);
        runner::down(db, Some(1)).await.expect("down");
        assert_eq!(texts(db, marked).await, ["created 1", "imported 3", "marked 1", "to come 1", "without 1"]);
        runner::up(db, Some(1)).await.expect("up again");
        assert_eq!(texts(db, marked).await, of_people);
    })
    .await;
}
