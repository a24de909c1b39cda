//! Handles as they are written: the same fields as those declared in `dto`, borrowed from the rows.

use entity::values::{CircleStatus, MemberRole};

use super::dto::{Capabilities, Layer, PromptPart, PromptSource, Provenance, Warning, WarningCode};
use crate::rows::{Stored, written, written_by_serde};

/// Written as [`CircleHandles`](super::dto::CircleHandles).
#[derive(Debug)]
pub(super) struct ResolvedCircle<'r> {
    pub(super) circle_id: i64,
    pub(super) circle: &'r str,
    pub(super) status: CircleStatus,
    pub(super) require_review: bool,
    pub(super) handles: Vec<ResolvedHandle<'r>>,
    pub(super) warnings: Vec<Warning>,
}

/// Written as [`Handle`](super::dto::Handle).
#[derive(Debug)]
pub(super) struct ResolvedHandle<'r> {
    pub(super) agent_id: i64,
    pub(super) agent_name: &'r str,
    pub(super) agent_role: Option<&'r str>,
    pub(super) agent_status: &'r str,
    pub(super) member_id: Option<i64>,
    pub(super) role: Option<MemberRole>,
    pub(super) competencies: Stored<'r>,
    pub(super) can_review: Stored<'r>,
    pub(super) permissions: Stored<'r>,
    pub(super) provider: Option<&'r str>,
    pub(super) api_type: Option<&'r str>,
    pub(super) base_url: Option<&'r str>,
    pub(super) api_key_env: Option<&'r str>,
    pub(super) model: Option<&'r str>,
    pub(super) context_window: Option<i64>,
    pub(super) max_output: Option<i64>,
    pub(super) capabilities: Option<Capabilities>,
    pub(super) temperature: Option<f64>,
    pub(super) max_tokens: Option<i64>,
    pub(super) skill_names: Stored<'r>,
    pub(super) system_prompt: String,
    pub(super) provenance: Provenance,
    pub(super) warnings: Vec<Warning>,
}

written!(ResolvedCircle<'_> { circle_id, circle, status, require_review, handles, warnings });
written!(ResolvedHandle<'_> {
    agent_id, agent_name, agent_role, agent_status, member_id, role, competencies,
    can_review, permissions, provider, api_type, base_url, api_key_env, model,
    context_window, max_output, capabilities, temperature, max_tokens, skill_names,
    system_prompt, provenance, warnings,
});
written!(Capabilities {
    vision,
    tools,
    streaming,
    reasoning
});
written!(Provenance {
    system_prompt,
    temperature,
    max_tokens,
    competencies,
    can_review
});
written!(PromptPart {
    source,
    start,
    length
});
written!(Warning {
    code,
    detail,
    agent_id
});
written_by_serde!(Layer, PromptSource, WarningCode);

#[cfg(test)]
mod tests {
    use chrono::NaiveDate;

    use super::{
        super::{
            dto::{CircleHandles, Handle},
            facts::{AgentFacts, CircleFacts},
            rules::{self, Additions},
        },
        *,
    };
    use crate::rows::{JsonText, Written, tests::declared};

    /// The names of a JSON object's fields, in the order in which they are written.
    fn names(thing: &impl Written) -> Vec<String> {
        let mut json = JsonText::with_capacity(0);
        thing.write(&mut json).expect("written");
        let text = String::from_utf8(json.into_bytes()).expect("UTF-8");
        let fields = sonic_rs::to_object_iter(&text);
        let names = fields.map(|field| field.expect("a field").0.to_string());
        names.collect()
    }

    #[test]
    fn what_is_written_is_declared_in_the_same_order() {
        let circle = CircleFacts {
            id: 1,
            name: "team",
            status: CircleStatus::Stopped,
            require_review: false,
            max_members: None,
            settings: entity::values::JsonObject::default(),
            project_context: None,
        };
        let agent = AgentFacts {
            id: 1,
            name: "Ada",
            role: None,
            status: "idle",
            system_prompt: None,
            base_prompt: None,
            skill_names: Stored::EMPTY_LIST,
            competencies: Stored::EMPTY_LIST,
            can_review: Stored::EMPTY_LIST,
            temperature: None,
            max_tokens: None,
            model: None,
        };
        let resolved =
            rules::resolve_circle(&circle, [].into_iter(), NaiveDate::MIN).expect("resolved");
        assert_eq!(names(&resolved), declared::<CircleHandles>());
        let resolved = rules::resolve(&agent, None, &Additions::default(), NaiveDate::MIN);
        assert_eq!(names(&resolved.expect("resolved")), declared::<Handle>());
    }
}
