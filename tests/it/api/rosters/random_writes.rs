//! Random writes to what a roster shows, and to what it does not.

use serde_json::json;

use test_support::TestApp;

pub(super) struct World {
    providers: Vec<i64>,
    models: Vec<i64>,
    agents: Vec<i64>,
}

impl World {
    pub(super) async fn create(app: &TestApp) -> Self {
        let mut world = Self {
            providers: vec![],
            models: vec![],
            agents: vec![],
        };
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
    pub(super) async fn write(&self, app: &TestApp, numbers: &mut Numbers, write: u64) -> String {
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
        let (path, body) = match numbers.below(15) {
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
            matches!(answer.status, 200 | 404),
            "{path} {body}: {}",
            answer.text
        );
        format!("PATCH {path} {body}")
    }
}

/// A repeatable sequence of numbers (the linear congruential generator of Knuth's MMIX).
pub(super) struct Numbers(pub(super) u64);

impl Numbers {
    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }

    pub(super) fn one_of<'l, T>(&mut self, list: &'l [T]) -> &'l T {
        &list[usize::try_from(self.below(list.len() as u64)).expect("an index")]
    }
}
