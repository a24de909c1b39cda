//! Memory that large responses took goes back to the system.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::json;

use test_support::{Answer, binary::Server, faults::report, on_both_databases};

/// What a process may keep of what it took: what its threads hold for the next allocations.
const KEPT: u64 = 48 << 20;
/// A session keeps the buffer of its largest response until the pool shrinks, which takes half a minute.
const RETURN_TIMEOUT: Duration = Duration::from_mins(1);

/// The list of agents, which is as large as a response may be.
const LIST: &str = "/v1/agents?limit=200";

async fn read_list(server: &Server) -> usize {
    let request = server.client().get(server.url(LIST));
    let response = request.timeout(Duration::from_mins(2)).send().await;
    let body = response.expect("an answer").bytes().await;
    body.expect("a body").len()
}

async fn probe(server: &Server) {
    let request = server.client().get(server.url("/v1/agents?limit=1"));
    let response = request.send().await.expect("an answer");
    response.bytes().await.expect("a body");
}

#[tokio::test]
async fn memory_of_large_responses_goes_back_to_the_system_within_a_minute() {
    on_both_databases(async |database| {
        let server = Server::start_ready(&database.url, &["--log", "warn"]).await;
        let prompt = "é".repeat(200_000);
        let agent = json!({"name": "Ada", "system_prompt": prompt, "base_prompt": prompt});
        for _ in 0..10 {
            let create = server.client().post(server.url("/v1/agents"));
            Answer::to(create.json(&agent)).await.created();
        }
        assert!(read_list(&server).await > 7 << 20);
        let process = server.process();
        let before = process.reset_peak_memory();
        // How many of the reads meet is a matter of scheduling.
        let mut peak = before;
        for _ in 0..20 {
            join_all((0..24).map(|_| read_list(&server))).await;
            peak = process.peak_memory();
            if peak > before + 2 * KEPT {
                break;
            }
        }
        assert!(
            peak > before + 2 * KEPT,
            "{} MiB is nothing to return",
            peak >> 20
        );
        let ended = Instant::now();
        let mut after = process.reset_peak_memory();
        while after > before + KEPT {
            assert!(
                ended.elapsed() < RETURN_TIMEOUT,
                "{} MiB before, {} MiB at most, {} MiB after",
                before >> 20,
                peak >> 20,
                after >> 20
            );
            // The allocator gives memory back when its threads are at work, as they are in service.
            join_all((0..4).map(|_| probe(&server))).await;
            tokio::time::sleep(Duration::from_millis(100)).await;
            after = process.reset_peak_memory();
        }
        let figures = format!(
            "{} MiB before, {} MiB at most, {} MiB {:?} after",
            before >> 20,
            peak >> 20,
            after >> 20,
            ended.elapsed()
        );
        report("memory of large responses", &figures);
    })
    .await;
}
