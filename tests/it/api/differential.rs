//! The same requests to a service on SQLite and to one on PostgreSQL have the same answers.

use reqwest::Method;
use serde_json::{Map, Value, json};

use test_support::{Answer, Backend, TestApp, TestDatabase};

use super::rosters::Numbers;

/// How many requests the test makes; `DIFFERENTIAL_REQUESTS` sets another number.
fn requests() -> u64 {
    let given = std::env::var("DIFFERENTIAL_REQUESTS").ok();
    given.and_then(|given| given.parse().ok()).unwrap_or(3000)
}

/// The resources, with the lists that their rows are created in.
const KINDS: [&str; 6] = [
    "providers",
    "models",
    "mcp-servers",
    "agents",
    "circles",
    "conversations",
];

/// Names that databases fold, sort or escape in ways of their own.
const NAMES: [&str; 12] = [
    "a",
    "A",
    "b-1",
    "B_1",
    "Zoë",
    "ZOË",
    "ı",
    "İstanbul",
    "ß",
    "%_\\",
    "團隊",
    "\u{1f980} x",
];

/// A request by places: `{agents 3}` in a path stands for the fourth agent that was created.
struct Step {
    method: Method,
    path: Vec<Part>,
    body: Option<Value>,
}

enum Part {
    Text(String),
    Row(usize, usize),
}

/// The rows that both services created, by kind: their addresses, without the list.
#[derive(Default)]
struct Created([Vec<[String; 2]>; KINDS.len()]);

impl Created {
    fn count(&self, kind: usize) -> usize {
        self.0[kind].len()
    }

    fn path(&self, step: &Step, side: usize) -> String {
        let part = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::Row(kind, row) => self.0[*kind].get(*row).map_or_else(
                // One that was never created.
                || "999999".to_owned(),
                |keys| keys[side].clone(),
            ),
        };
        step.path.iter().map(part).collect()
    }

    /// A body in which `[kind, row]` under a name that ends in `_id` is the id of that row.
    fn body(&self, body: &Value, side: usize) -> Value {
        match body {
            Value::Object(members) => members
                .iter()
                .map(|(name, value)| (name.clone(), self.member(name, value, side)))
                .collect::<Map<_, _>>()
                .into(),
            Value::Array(items) => items.iter().map(|item| self.body(item, side)).collect(),
            other => other.clone(),
        }
    }

    fn member(&self, name: &str, value: &Value, side: usize) -> Value {
        let place = |at: usize| value[at].as_u64().and_then(|it| usize::try_from(it).ok());
        match (place(0), place(1)) {
            (Some(kind), Some(row)) if name.ends_with("_id") => {
                let keys = self.0[kind].get(row);
                keys.map_or(json!(999_999), |keys| {
                    json!(keys[side].parse::<i64>().unwrap_or(999_999))
                })
            }
            _ => self.body(value, side),
        }
    }
}

/// An answer without what differs by its nature: ids, times, tags, cursors and request ids.
fn comparable(answer: &Answer) -> (u16, Value) {
    let body = serde_json::from_str(&answer.text).unwrap_or_else(|_| json!(answer.text));
    (answer.status, masked("", &body))
}

fn masked(name: &str, value: &Value) -> Value {
    let is_masked = name == "id"
        || name == "ids"
        || [
            "_id",
            "_at",
            "_cursor",
            "revision",
            "gen_ai.agent.id",
            "client_address",
        ]
        .iter()
        .any(|end| name.ends_with(end))
        || name == "at";
    match value {
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| (name.clone(), masked(name, value)))
            .collect::<Map<_, _>>()
            .into(),
        // Lists of ids.
        Value::Array(items) if !items.is_empty() && items.iter().all(Value::is_u64) => {
            json!(items.len())
        }
        Value::Array(items) => items.iter().map(|item| masked(name, item)).collect(),
        Value::Null => Value::Null,
        _ if is_masked => json!("…"),
        // Texts and names of audit entries may contain ids.
        Value::String(text) if name == "detail" || name == "name" => {
            let parts = text.split(|it: char| it.is_ascii_digit());
            json!(
                parts
                    .filter(|part| !part.is_empty())
                    .collect::<Vec<_>>()
                    .join("…")
            )
        }
        other => other.clone(),
    }
}

impl Numbers {
    fn chance(&mut self, one_in: u64) -> bool {
        self.below(one_in) == 0
    }

    fn row(&mut self, created: &Created, kind: usize) -> usize {
        let count = u64::try_from(created.count(kind)).expect("few") + 1;
        usize::try_from(self.below(count)).expect("few")
    }

    fn reference(&mut self, created: &Created, kind: usize) -> Value {
        json!([kind, self.row(created, kind)])
    }

    /// Free JSON, with numbers and names that are hard to keep.
    fn free(&mut self) -> Value {
        let texts = [
            r#"{"z":1,"a":1e17,"n":-0.0,"m":[1.0,1.50,12345678901234567890]}"#,
            r#"{"é":"\u0001","":{"":[null,true]}}"#,
            "{}",
        ];
        serde_json::from_str(self.one_of::<&str>(&texts)).expect("JSON")
    }

    fn price(&mut self) -> Value {
        json!(self.one_of(&[
            "0",
            "1.1",
            "0.0000000001",
            "99999999.9999999999",
            "1e3",
            "-1"
        ]))
    }

    /// A body for a row of this kind, of which each field is there or not.
    fn row_body(&mut self, created: &Created, kind: usize, write: u64) -> Value {
        let name = (*self.one_of(&NAMES)).to_owned();
        let slug = format!("{}-{}", self.one_of(&["a", "B", "c_"]), self.below(30));
        let fields = match KINDS[kind] {
            "providers" => json!({
                "name": slug, "api_type": self.one_of(&["openai", "X"]), "display_name": name,
                "base_url": self.one_of(&["https://a.example", "http://a.example"]),
                "is_local": self.chance(2), "config": self.free()
            }),
            "models" => json!({
                "provider_id": self.reference(created, 0), "model_name": name, "model_alias": slug,
                "input_price": self.price(), "max_output": self.below(3), "accepts_sampling": self.chance(2),
                "deprecation_date": self.one_of(&["2020-02-29", "2999-12-31", "2021-02-29"]),
                "default_params": {"seed": self.below(3)}
            }),
            "mcp-servers" => json!({
                "name": slug, "transport": self.one_of(&["stdio", "sse"]), "url": "https://s.example",
                "command": self.one_of(&[Value::Null, json!("c")]), "display_name": name
            }),
            "agents" => json!({
                "name": name, "role": name, "external_id": slug, "skill_names": [name, slug],
                "temperature": self.one_of(&[0.1, 1.5, 2.5]), "max_tokens": self.below(3),
                "model_id": self.reference(created, 1), "metadata": self.free(),
                "status": self.one_of(&["idle", "busy"]), "params": {"top_p": 0.1, "extra": self.free()},
                "tools": [{"type": "mcp", "server": "a-1"}]
            }),
            "circles" => json!({
                "name": format!("{slug}-{write}"), "display_name": name, "max_members": self.below(4),
                "settings": self.free(), "require_review": self.chance(2)
            }),
            _ => json!({
                "topic": name, "turn_strategy": self.one_of(&["round_robin", "free_form"]),
                "max_turns": self.below(5)
            }),
        };
        self.some_of(&fields)
    }

    /// Most fields of a body; the first two more often.
    fn some_of(&mut self, fields: &Value) -> Value {
        let fields = fields.as_object().expect("fields");
        let kept = fields.iter().enumerate().filter(|(place, _)| {
            let one_in = if *place < 2 { 20 } else { 3 };
            !self.chance(one_in)
        });
        let kept = kept.map(|(_, (name, value))| (name.clone(), value.clone()));
        kept.collect::<Map<_, _>>().into()
    }
}

fn text(text: impl Into<String>) -> Part {
    Part::Text(text.into())
}

/// A request for one row, a list, or something that rows do.
fn step(numbers: &mut Numbers, created: &Created, write: u64) -> Step {
    let kind = usize::try_from(numbers.below(6)).expect("a kind");
    let list = format!("/v1/{}", KINDS[kind]);
    let row = Part::Row(kind, numbers.row(created, kind));
    let of_row = |end: &str| vec![text(format!("{list}/")), row, text(end)];
    let body = numbers.row_body(created, kind, write);
    let (method, path, body) = match numbers.below(12) {
        0..=3 => (Method::POST, vec![text(list)], Some(body)),
        4 | 5 => (Method::PATCH, of_row(""), Some(body)),
        6 => (Method::GET, of_row(""), None),
        7 if numbers.chance(3) => (Method::DELETE, of_row(""), None),
        7 | 8 => (Method::GET, vec![text(list_path(numbers, &list))], None),
        _ => return circle_step(numbers, created),
    };
    Step { method, path, body }
}

fn list_path(numbers: &mut Numbers, list: &str) -> String {
    let sort = numbers.one_of(&["id", "-id", "name", "-name", "-updated_at"]);
    let limit = 1 + numbers.below(40);
    let text: String = percent_encoding::utf8_percent_encode(
        numbers.one_of::<&str>(&NAMES),
        percent_encoding::NON_ALPHANUMERIC,
    )
    .collect();
    let filter = match numbers.below(4) {
        0 => format!("&q={text}"),
        1 => format!("&name={text}"),
        _ => String::new(),
    };
    format!("{list}?count=true&limit={limit}&sort={sort}{filter}")
}

/// Something that circles, their members, and conversations do.
fn circle_step(numbers: &mut Numbers, created: &Created) -> Step {
    const CIRCLES: usize = 4;
    let circle = Part::Row(CIRCLES, numbers.row(created, CIRCLES));
    let of_circle = |end: &str| vec![text("/v1/circles/"), circle, text(end)];
    let agent = numbers.reference(created, 3);
    let other = numbers.reference(created, 3);
    let conversation = Part::Row(5, numbers.row(created, 5));
    let of_conversation = |end: &str| vec![text("/v1/conversations/"), conversation, text(end)];
    let role = *numbers.one_of(&["lead", "member", "observer"]);
    let (method, path, body) = match numbers.below(10) {
        0 | 1 => (
            Method::POST,
            of_circle("/members"),
            Some(json!({"agent_id": agent, "role": role})),
        ),
        2 => (
            Method::PUT,
            of_circle("/members"),
            Some(json!({"members": [{"agent_id": agent}, {"agent_id": other, "role": role}]})),
        ),
        3 => (
            Method::POST,
            of_circle("/members:batch?partial=true"),
            Some(json!({"operations": [
                {"op": "add", "agent_id": agent}, {"op": "remove", "agent_id": other}
            ]})),
        ),
        4 => (Method::GET, of_circle("/handles"), None),
        5 => (Method::GET, of_circle("/lint"), None),
        6 => (
            Method::POST,
            of_circle(numbers.one_of::<&str>(&["/start", "/stop", "/restore"])),
            None,
        ),
        7 => (
            Method::GET,
            of_circle("/members?count=true&include_inactive=true"),
            None,
        ),
        8 => (
            Method::POST,
            of_conversation("/messages"),
            Some(json!({"content": "x", "agent_id": agent})),
        ),
        _ => (
            Method::POST,
            of_conversation("/participants"),
            Some(json!({"agent_id": agent})),
        ),
    };
    Step { method, path, body }
}

/// The key of a created row: a circle's name, or an id.
fn key_of(answer: &Answer) -> Option<String> {
    let location = answer.header("location").to_owned();
    location.rsplit('/').next().map(ToOwned::to_owned)
}

#[tokio::test]
async fn the_same_requests_have_the_same_answers_on_both_databases() {
    let databases = [
        TestDatabase::create(Backend::Sqlite).await,
        TestDatabase::create(Backend::Postgres).await,
    ];
    let mut apps = Vec::new();
    for database in &databases {
        apps.push(TestApp::start(database.backend, database.settings()).await);
    }
    let (mut numbers, mut created) = (Numbers(1126), Created::default());
    let mut statuses = [0_u64; 6];
    for write in 0..requests() {
        let step = step(&mut numbers, &created, write);
        let mut answers = Vec::new();
        for (side, app) in apps.iter().enumerate() {
            let path = created.path(&step, side);
            let body = step.body.as_ref().map(|body| created.body(body, side));
            answers.push(app.send(step.method.clone(), &path, body.as_ref()).await);
        }
        let path = created.path(&step, 0);
        let [on_sqlite, on_postgres] = [comparable(&answers[0]), comparable(&answers[1])];
        assert_eq!(
            on_sqlite, on_postgres,
            "{write}: {} {path} {:?}",
            step.method, step.body
        );
        statuses[usize::from(on_sqlite.0 / 100)] += 1;
        let kind = KINDS.iter().position(|kind| path == format!("/v1/{kind}"));
        if let (Some(kind), 201) = (kind, on_sqlite.0) {
            let keys = [key_of(&answers[0]), key_of(&answers[1])].map(Option::unwrap_or_default);
            created.0[kind].push(keys);
        }
    }
    for path in [
        "/v1/audit?limit=200&order=asc",
        "/v1/circles?include=members&limit=200",
    ] {
        let [one, other] = [apps[0].get(path).await, apps[1].get(path).await];
        assert_eq!(comparable(&one), comparable(&other), "{path}");
    }
    assert!(
        statuses[2] > requests() / 4 && statuses[4] > requests() / 10 && statuses[5] == 0,
        "{statuses:?}"
    );
    for app in apps {
        app.stop().await;
    }
    for database in databases {
        database.remove().await;
    }
}
