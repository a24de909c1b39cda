//! nginx as people set it up before the service.

use std::time::{Duration, Instant};

use reqwest::{Client, Method, RequestBuilder};
use serde_json::json;

use test_support::{
    Answer, TestDatabase,
    binary::{self, Server},
    events::EventReader,
    nginx::Nginx,
    on_both_databases,
};

/// The service with an admin key, and the key's token.
async fn with_a_key(database: &TestDatabase, more: &[&str]) -> (Server, String) {
    let key = ["keys", "create", "--name", "ops", "--scope", "admin"];
    let token = binary::output_of(&[&key[..], &["--database-url", &database.url]].concat());
    let server = Server::start_ready(&database.url, more).await;
    (server, token.trim().to_owned())
}

/// A client that does not follow redirects, and sends requests through nginx with a key.
struct Through {
    nginx: Nginx,
    client: Client,
    token: String,
}

impl Through {
    fn new(nginx: Nginx, token: String) -> Self {
        let client = Client::builder().redirect(reqwest::redirect::Policy::none());
        Self {
            nginx,
            client: client.build().expect("a client"),
            token,
        }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.client.request(method, self.nginx.url(path));
        request.bearer_auth(&self.token)
    }

    async fn get(&self, path: &str) -> Answer {
        Answer::to(self.request(Method::GET, path)).await
    }

    async fn create_agent(&self, path: &str) -> Answer {
        let agent = json!({"name": "Ada", "system_prompt": "Review what changed. ".repeat(100)});
        Answer::to(self.request(Method::POST, path).json(&agent)).await
    }

    /// The tag of a resource as a client gets it that accepts gzip.
    async fn compressed_tag(&self, path: &str) -> String {
        let request = self.request(Method::GET, path);
        let response = request.header("accept-encoding", "gzip").send();
        let response = response.await.expect("an answer");
        assert_eq!(response.headers()["content-encoding"], "gzip");
        response.headers()["etag"]
            .to_str()
            .expect("text")
            .to_owned()
    }
}

#[tokio::test]
async fn a_service_without_keys_refuses_what_comes_through_nginx() {
    on_both_databases(async |database| {
        let server = Server::start_ready(&database.url, &[]).await;
        let address = server.address;
        for more in [
            "",
            "proxy_http_version 1.1; proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;",
            "proxy_http_version 1.1; proxy_set_header X-Real-IP $remote_addr;",
        ] {
            let nginx = Nginx::start(&format!(
                "location / {{ proxy_pass http://{address}; {more} }}"
            ));
            let get = |path| Answer::to(server.client().get(nginx.url(path)));
            get("/v1/circles").await.problem(403, "proxy_not_allowed");
            get("/livez").await.ok();
        }
        server.get("/v1/circles").await.ok();
    })
    .await;
}

#[tokio::test]
async fn the_client_that_nginx_names_is_recorded_only_if_nginx_is_trusted() {
    on_both_databases(async |database| {
        for (trusted, recorded) in [
            (&[][..], "127.0.0.1"),
            (&["--trusted-proxy", "127.0.0.0/8"], "198.51.100.7"),
        ] {
            let (server, token) = with_a_key(database, trusted).await;
            let nginx = Nginx::start(&format!(
                "location / {{ proxy_pass http://{}; \
                 proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; }}",
                server.address
            ));
            let through = Through::new(nginx, token);
            // What another proxy before nginx says; nginx appends that proxy's address, which is this machine's.
            let request = through.request(Method::POST, "/v1/agents");
            let request = request.header("x-forwarded-for", "192.0.2.1, 198.51.100.7");
            Answer::to(request.json(&json!({"name": "Ada"})))
                .await
                .created();
            let entries = through.get("/v1/audit?name=Ada&limit=1").await.ok();
            assert_eq!(entries["data"][0]["client_address"], recorded);
        }
    })
    .await;
}

#[tokio::test]
async fn a_tag_that_nginx_made_weak_gets_a_clear_answer_and_ours_stays_strong() {
    on_both_databases(async |database| {
        for (setting, is_weak) in [
            ("--no-compression=true", true),
            ("--no-compression=false", false),
        ] {
            let (server, token) = with_a_key(database, &[setting]).await;
            let nginx = Nginx::start(&format!(
                "gzip on; gzip_types application/json; gzip_proxied any; \
                 location / {{ proxy_pass http://{}; }}",
                server.address
            ));
            let through = Through::new(nginx, token);
            let created = through.create_agent("/v1/agents").await;
            let path = created.header("location").to_owned();
            let tag = through.compressed_tag(&path).await;
            assert_eq!(tag.starts_with("W/"), is_weak, "{tag}");
            let conditional = async |method, name, body: Option<_>| {
                let request = through.request(method, &path).header(name, &tag);
                let request = request.header("accept-encoding", "gzip");
                Answer::to(match body {
                    Some(body) => request.json(&body),
                    None => request,
                })
                .await
            };
            let unchanged = conditional(Method::GET, "if-none-match", None).await;
            assert_eq!(
                (unchanged.status, unchanged.text.as_str()),
                (304, ""),
                "{tag}"
            );
            let update = Some(json!({"role": "lead"}));
            let updated = conditional(Method::PATCH, "if-match", update).await;
            if is_weak {
                let problem = updated.problem(412, "precondition_failed");
                let detail = problem["detail"].as_str().expect("a detail");
                assert!(detail.contains("weak"), "{detail}");
            } else {
                assert_eq!(updated.status, 200, "{tag}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn under_a_path_of_nginx_the_service_s_own_links_lead_back_to_it() {
    on_both_databases(async |database| {
        let (server, token) = with_a_key(database, &["--base-path", "/registry"]).await;
        let address = server.address;
        for location in [
            // The slash at the end makes nginx remove the path.
            format!("location /registry/ {{ proxy_pass http://{address}/; }}"),
            format!("location /registry/ {{ proxy_pass http://{address}; }}"),
        ] {
            let through = Through::new(Nginx::start(&location), token.clone());
            let created = through.create_agent("/registry/v1/agents").await;
            let path = created.header("location").to_owned();
            assert!(
                path.starts_with("/registry/v1/agents/"),
                "{location}: {path}"
            );
            let agent = through.get(&path).await.ok();
            assert_eq!(agent["name"], "Ada");
            let root = through.get("/registry/").await;
            assert_eq!(
                (root.status, root.header("location")),
                (307, "/registry/docs")
            );
            let page = through.get("/registry/docs").await;
            // Relative to the page's own address.
            assert!(page.status == 200 && page.text.contains(r#""servers":[{"url":"./"}]"#));
            let description = through.get("/registry/openapi.json").await.ok();
            assert_eq!(description["servers"], json!([{"url": "/registry"}]));
            assert_eq!(through.get("/registry/v1/nothing").await.status, 404);
        }
        server.get("/livez").await.ok();
    })
    .await;
}

#[tokio::test]
async fn nginx_passes_events_on_as_they_come() {
    on_both_databases(async |database| {
        let (server, token) = with_a_key(database, &[]).await;
        for more in [
            "",
            "proxy_http_version 1.1; gzip on; gzip_types *; gzip_proxied any;",
        ] {
            let nginx = Nginx::start(&format!(
                "location / {{ proxy_pass http://{}; {more} }}",
                server.address
            ));
            let through = Through::new(nginx, token.clone());
            let mut stream = EventReader::open(through.request(Method::GET, "/v1/events")).await;
            for _ in 0..3 {
                through.create_agent("/v1/agents").await.created();
                let asked = Instant::now();
                assert_eq!(stream.names(1).await, ["Ada"]);
                assert!(asked.elapsed() < Duration::from_secs(10), "{more}");
            }
        }
    })
    .await;
}
