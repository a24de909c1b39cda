//! Random writes to what rosters and handles show, and to what they do not.

use serde_json::{Value, json};

use test_support::TestApp;

use super::super::mcp_servers::a_server;

pub(in crate::api) struct World {
    providers: Vec<i64>,
    models: Vec<i64>,
    agents: Vec<i64>,
    servers: Vec<i64>,
}

impl World {
    pub(in crate::api) async fn create(app: &TestApp) -> Self {
        let mut world = Self {
            providers: vec![],
            models: vec![],
            agents: vec![],
            servers: vec![],
        };
        for number in 0..2 {
            let name = format!("server-{number}");
            world.servers.push(a_server(app, &name).await);
        }
        for name in ["p", "q"] {
            let provider = app.a_provider(name).await;
            world.providers.push(provider);
            world.models.push(app.a_model(provider, "m").await);
            world.models.push(app.a_model(provider, "n").await);
        }
        for number in 0..6 {
            let model = world.models[number % 4];
            world
                .agents
                .push(app.an_agent_on(&format!("agent {number}"), model).await);
        }
        app.a_circle("one").await;
        app.a_circle("two").await;
        world
    }

    /// Makes one write, which may be refused, and returns its description.
    pub(in crate::api) async fn write(
        &self,
        app: &TestApp,
        numbers: &mut Numbers,
        write: u64,
    ) -> String {
        let circle = *numbers.one_of(&["one", "two"]);
        let agent = *numbers.one_of(&self.agents);
        let (agent_path, circle_path) = (
            format!("/v1/agents/{agent}"),
            format!("/v1/circles/{circle}"),
        );
        let member_path = format!("{circle_path}/members/{agent}");
        let model_path = format!("/v1/models/{}", numbers.one_of(&self.models));
        let provider_path = format!("/v1/providers/{}", numbers.one_of(&self.providers));
        // Few values, so that a write often changes nothing.
        let value = numbers.below(3);
        let server_path = format!("/v1/mcp-servers/{}", numbers.one_of(&self.servers));
        let (path, body) = match numbers.below(23) {
            0 => (agent_path, json!({"name": format!("agent {value}")})),
            1 => (
                agent_path,
                json!({"skill_names": [format!("skill {value}")]}),
            ),
            2 => (
                agent_path,
                json!({"model_id": numbers.one_of(&self.models)}),
            ),
            3 => (
                agent_path,
                json!({"metadata": {"write": write}, "traits": ["unshown"]}),
            ),
            4 => (
                agent_path,
                json!({"temperature": value, "status": numbers.one_of(&["idle", "busy"])}),
            ),
            5 => (model_path, json!({"model_alias": format!("alias {value}")})),
            6 => (
                model_path,
                json!({"input_price": format!("{value}.5"), "max_output": write}),
            ),
            7 => (provider_path, json!({"api_type": format!("type{value}")})),
            8 => (
                provider_path,
                json!({"display_name": format!("unshown {write}")}),
            ),
            9 => (
                circle_path,
                json!({"description": format!("description {value}")}),
            ),
            10 => (
                member_path,
                json!({"role": numbers.one_of(&["lead", "member"])}),
            ),
            11 => (
                member_path,
                json!({"temperature": value, "max_tokens": write + 1}),
            ),
            12 => (
                member_path,
                json!({"competencies": [format!("competency {value}")]}),
            ),
            13 => {
                let tools = self.some_tools(app, numbers).await;
                (agent_path, json!({"tools": tools}))
            }
            14 => (
                agent_path,
                json!({"params": {"top_p": 0.5, "top_k": value}}),
            ),
            15 => (
                agent_path,
                json!({"fallback_model_ids": [numbers.one_of(&self.models)]}),
            ),
            16 => (member_path, json!({"params": {"extra": {"value": value}}})),
            17 => (model_path, json!({"default_params": {"seed": value}})),
            18 => (
                model_path,
                json!({"accepts_sampling": value == 0, "supports_tools": value == 1}),
            ),
            19 => (server_path, json!({"name": format!("server-{value}")})),
            20 => (
                server_path,
                json!({"url": format!("https://mcp.example/{value}"), "description": format!("{write}")}),
            ),
            21 => {
                app.delete(&member_path).await;
                return format!("DELETE {member_path}");
            }
            _ => {
                let path = format!("{circle_path}/members");
                app.post(&path, &json!({"agent_id": agent})).await;
                return format!("POST {path} {agent}");
            }
        };
        let answer = app.patch(&path, &body).await;
        assert!(
            // A server's name may be taken, and a fallback be the agent's own model.
            matches!(answer.status, 200 | 404 | 409 | 422),
            "{path} {body}: {}",
            answer.text
        );
        format!("PATCH {path} {body}")
    }
}

impl World {
    /// No tool, or one of a server by its name of the moment.
    async fn some_tools(&self, app: &TestApp, numbers: &mut Numbers) -> Value {
        let path = format!("/v1/mcp-servers/{}", numbers.one_of(&self.servers));
        let server = app.get(&path).await.ok()["name"].clone();
        match numbers.below(3) {
            0 => json!([]),
            1 => json!([{"type": "mcp", "server": server}]),
            _ => {
                json!([{"type": "builtin", "name": "b"}, {"type": "mcp", "server": server, "allow": ["a"]}])
            }
        }
    }

    /// The agents, some of which tests compare.
    pub(in crate::api) fn agent_path(&self, index: usize) -> String {
        format!("/v1/agents/{}", self.agents[index])
    }
}

/// A repeatable sequence of numbers (the linear congruential generator of Knuth's MMIX).
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }

    pub(crate) fn one_of<'l, T>(&mut self, list: &'l [T]) -> &'l T {
        &list[usize::try_from(self.below(list.len() as u64)).expect("an index")]
    }
}
