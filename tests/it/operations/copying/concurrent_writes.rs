//! A copy while the source is written.

use tokio::task::spawn_blocking;

use test_support::{TestDatabase, binary, texts_of};

use super::{BOTH_WAYS, kills::with_many_rows};

#[tokio::test]
async fn all_tables_are_copied_as_they_were_at_one_moment() {
    for (from, to) in BOTH_WAYS {
        let source = TestDatabase::create(from).await;
        let app = with_many_rows(&source).await;
        let target = TestDatabase::create_empty(to).await;
        let (from_url, to_url) = (source.url.clone(), target.url.clone());
        let copying = spawn_blocking(move || {
            binary::output_of(&["copy", "--from", &from_url, "--to", &to_url])
        });
        let mut made = 0;
        while !copying.is_finished() {
            app.an_agent(&format!("new {made}")).await;
            made += 1;
        }
        copying.await.expect("a copy");
        // One transaction made an agent, its first version and its audit entry.
        let mut counts = Vec::new();
        for rows in [
            "agents WHERE name LIKE 'new %'",
            "agent_versions WHERE CAST(definition AS text) LIKE '%\"new %'",
            "audit_entries WHERE action = 'create' AND name LIKE 'new %'",
        ] {
            let sql = format!("SELECT CAST(count(*) AS text) FROM {rows}");
            counts.extend(texts_of(&target.url, &sql).await);
        }
        assert!(counts.iter().all(|count| *count == counts[0]), "{counts:?}");
        let copied: usize = counts[0].parse().expect("a number");
        assert!(copied < made, "{copied} of {made}");
        app.stop().await;
        source.remove().await;
        target.remove().await;
    }
}
