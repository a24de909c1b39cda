//! The story, told with the client that progenitor writes. Argument: the server's address;
//! `$CIRCLE_REGISTRY_TOKEN` is an administrator's.

use std::{env, error::Error, fmt::Debug, num::NonZeroU64};

use client::{
    Client, ResponseValue,
    types::{
        AgentCreate, CircleCreate, CircleStatus, ConversationCreate, ConversationCreateCircle,
        MemberCreate, MemberRole, MessageCreate, MessageCreateContent, ModelCreate,
        ModelCreateInputPrice, Problem, ProviderCreate, TurnStrategy, WarningCode,
    },
};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use serde_json::json;

#[allow(warnings, reason = "generated")]
mod client {
    include!(concat!(env!("OUT_DIR"), "/client.rs"));
}

const TEAM: &str = "rust-team";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = env::args().nth(1).ok_or("the server's address")?;
    let bearer = format!("Bearer {}", env::var("CIRCLE_REGISTRY_TOKEN")?);
    let headers = HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::try_from(bearer)?)]);
    let http = reqwest::Client::builder()
        .default_headers(headers)
        .build()?;
    let client = Client::new_with_client(&server, http);

    let nobody = Client::new(&server);
    let unknown = refused(nobody.list_circles().send().await, 401);
    assert_eq!(unknown.code, "unauthenticated");

    let body = ProviderCreate::builder()
        .name("rust-acme")
        .api_type("openai");
    let acme = created(client.create_provider().body(body).send().await);
    assert_eq!(acme.name, "rust-acme");
    let body = ModelCreate::builder()
        .provider_id(id(acme.id))
        .model_name("acme-large")
        .input_price(ModelCreateInputPrice::try_from("2.5")?);
    let large = created(client.create_model().body(body).send().await);
    let price = large.input_price.map(String::from);
    assert_eq!(price.as_deref(), Some("2.5000000000"));

    let mut agents = Vec::new();
    for name in ["Ada", "Linus", "Grace"] {
        let body = AgentCreate::builder()
            .name(name)
            .model_id(id(large.id))
            .skill_names(vec!["review".try_into()?]);
        let agent = created(client.create_agent().body(body).send().await);
        agents.push(id(agent.id));
    }
    let [ada, linus, grace] = agents[..] else {
        return Err("three agents".into());
    };

    let body = CircleCreate::builder().name(TEAM);
    let team = created(client.create_circle().body(body).send().await);
    assert_eq!(team.status, CircleStatus::Stopped);
    assert_eq!(team.member_count, 0);
    for (agent, role) in [
        (ada, MemberRole::Lead),
        (linus, MemberRole::Reviewer),
        (grace, MemberRole::Member),
    ] {
        let body = MemberCreate::builder().agent_id(agent).role(role);
        let member = created(
            client
                .add_member()
                .circle_name(TEAM)
                .body(body)
                .send()
                .await,
        );
        assert_eq!(member.role, role);
    }

    // Page through the members, two at a time: every one comes once.
    let (mut seen, mut sizes, mut cursor) = (Vec::new(), Vec::new(), None);
    loop {
        let mut page = client.list_members().circle_name(TEAM).limit(2).count(true);
        if let Some(cursor) = cursor {
            page = page.cursor::<String>(cursor);
        }
        let page = found(page.send().await);
        assert_eq!(page.total, Some(3));
        sizes.push(page.data.len());
        seen.extend(page.data.iter().map(|member| id(member.agent_id)));
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(sizes, [2, 1]);
    assert_eq!(seen, agents);

    // Clear a field that may be null; what is not named stays.
    let patch = client
        .update_agent()
        .id(grace)
        .body(json!({"model_id": null}));
    let cleared = found(patch.send().await);
    assert_eq!(cleared.model_id, None);
    let read = found(client.get_agent().id(grace).send().await);
    assert_eq!(read.model_id, None);
    assert_eq!(*read.skill_names[0], "review");

    // The roster, by rank: who, on which model of which provider.
    let roster = found(client.get_circle().circle_name(TEAM).send().await);
    assert_eq!(roster.member_count, 3);
    let rows = roster.members.iter().map(|member| {
        let model = member.model_name.as_deref();
        let provider = member.provider_name.as_deref();
        (member.role, &*member.agent_name, model, provider)
    });
    let (model, provider) = (Some("acme-large"), Some("rust-acme"));
    assert_eq!(
        rows.collect::<Vec<_>>(),
        [
            (MemberRole::Lead, "Ada", model, provider),
            (MemberRole::Member, "Grace", None, None),
            (MemberRole::Reviewer, "Linus", model, provider),
        ]
    );

    // What a runtime starts a member from, and the team talking.
    let circle = found(client.get_circle_handles().circle_name(TEAM).send().await);
    let handles: Vec<_> = circle.handles.iter().collect();
    assert_eq!(handles[0].model.as_deref(), model);
    assert_eq!(handles[1].warnings[0].code, WarningCode::NoModel);
    let body = ConversationCreate::builder()
        .topic("Release")
        .circle(ConversationCreateCircle::try_from(TEAM)?)
        .turn_strategy(TurnStrategy::RoundRobin);
    let talk = id(created(client.create_conversation().body(body).send().await).id);
    let text = MessageCreateContent::try_from("Ready?")?;
    let says = || MessageCreate::builder().agent_id(ada).content(text.clone());
    let said = created(client.create_message().id(talk).body(says()).send().await);
    assert_eq!((said.number, &*said.author_name), (1, "Ada"));
    let again = refused(
        client.create_message().id(talk).body(says()).send().await,
        409,
    );
    assert_eq!(again.code, "not_its_turn");
    let page = found(client.list_messages().id(talk).send().await);
    assert_eq!(page.data.len(), 1);

    let missing = refused(client.get_circle().circle_name("nobody").send().await, 404);
    assert_eq!(missing.code, "not_found");
    let body = CircleCreate::builder().name(TEAM);
    let taken = refused(client.create_circle().body(body).send().await, 409);
    assert_eq!(taken.code, "circle_name_taken");
    let body = MemberCreate::builder().agent_id(NonZeroU64::try_from(999_999)?);
    let invalid = refused(
        client
            .add_member()
            .circle_name(TEAM)
            .body(body)
            .send()
            .await,
        422,
    );
    assert_eq!(invalid.code, "invalid_request");
    let pointers: Vec<&str> = invalid.errors.iter().map(|error| &*error.pointer).collect();
    assert_eq!(pointers, ["#/agent_id"]);
    Ok(())
}

type Answer<T> = Result<ResponseValue<T>, client::Error<Problem>>;

fn created<T>(answer: Answer<T>) -> T {
    answered(answer, 201)
}

fn found<T>(answer: Answer<T>) -> T {
    answered(answer, 200)
}

fn answered<T>(answer: Answer<T>, status: u16) -> T {
    let answer = answer.unwrap_or_else(|error| panic!("{error:?}"));
    assert_eq!(answer.status(), status);
    answer.into_inner()
}

fn refused<T: Debug>(answer: Answer<T>, status: u16) -> Problem {
    let Err(client::Error::ErrorResponse(refusal)) = answer else {
        panic!("not a problem: {answer:?}");
    };
    assert_eq!(refusal.status(), status);
    assert_eq!(refusal.status, i64::from(status));
    refusal.into_inner()
}

/// Ids are answered as `i64` and asked for as `NonZeroU64`: only requests bound them.
fn id(answered: i64) -> NonZeroU64 {
    let id = u64::try_from(answered).ok().and_then(NonZeroU64::new);
    id.unwrap_or_else(|| panic!("not an id: {answered}"))
}
