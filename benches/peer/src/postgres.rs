//! On PostgreSQL: a deadpool of tokio-postgres connections, prepared statements, structs that
//! borrow from the rows.

use std::{collections::HashMap, error::Error};

use axum::{
    Json,
    body::Bytes,
    extract::{Path, Query, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use chrono::{DateTime, NaiveDate, Utc};
use deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio_postgres::{
    NoTls, Row,
    types::{FromSql, Type},
};

use crate::{
    handles::{self, Attributes, Capabilities, Handle, Handles, ModelState, Nothing, Provenance, Words},
    wire::{self, Circle, Failure, Member, Model, Moment, NOT_FOUND, Page, Price, RosterMember},
};

const CIRCLE: &str = "c.id, c.name, c.display_name, c.description, c.status, c.require_review, c.auto_route, \
    c.max_members, c.settings, c.project_context, c.is_active, c.started_at, c.stopped_at, c.created_at, c.updated_at, \
    c.protected_labels";
const CIRCLE_COLUMNS: usize = 16;
const ROSTER_MEMBER: &str = "m.id, m.agent_id, m.role, m.is_active, m.joined_at, m.competencies, m.can_review, \
    m.permissions, a.name, a.role, a.system_prompt, a.base_prompt, a.skill_names, a.status, a.temperature, \
    a.max_tokens, a.model_id, o.model_name, o.model_alias, p.id, p.name, p.api_type";
const JOINS: &str = "LEFT JOIN agents a ON a.id = m.agent_id LEFT JOIN models o ON o.id = a.model_id \
    LEFT JOIN providers p ON p.id = o.provider_id";

pub struct App {
    pool: Pool,
    roster: String,
    list: String,
    members: String,
    handles: String,
}

pub type Shared = State<&'static App>;

impl App {
    pub async fn open(url: &str) -> Result<&'static Self, Box<dyn std::error::Error>> {
        let config = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = Manager::from_config(url.parse()?, NoTls, config);
        let pool = Pool::builder(manager).max_size(20).build()?;
        drop(pool.get().await?);
        let of_name = format!(
            "FROM circles c LEFT JOIN members m ON m.circle_id = c.id AND m.is_active {JOINS} \
             WHERE c.name = $1 AND c.is_active"
        );
        Ok(Box::leak(Box::new(Self {
            pool,
            roster: format!("SELECT {CIRCLE}, {ROSTER_MEMBER} {of_name}"),
            list: format!(
                "SELECT {CIRCLE}, c.member_count FROM circles c WHERE c.is_active AND c.id > $1 \
                 ORDER BY c.id LIMIT $2"
            ),
            members: format!(
                "SELECT m.circle_id, {ROSTER_MEMBER} FROM members m {JOINS} \
                 WHERE m.is_active AND m.circle_id = ANY($1)"
            ),
            handles: format!("SELECT {HANDLES} {of_name}"),
        })))
    }

    async fn query(
        &self,
        text: &str,
        parameters: &[&(dyn tokio_postgres::types::ToSql + Sync)],
    ) -> Result<Vec<Row>, Failure> {
        let db = self.pool.get().await?;
        let statement = db.prepare_cached(text).await?;
        Ok(db.query(&statement, parameters).await?)
    }
}

/// JSON that is stored as `text` or `jsonb`.
struct JsonText<'r>(&'r RawValue);

impl<'r> FromSql<'r> for JsonText<'r> {
    fn from_sql(_: &Type, text: &'r [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(serde_json::from_slice(text.strip_prefix(b"\x01").unwrap_or(text))?))
    }

    fn accepts(column: &Type) -> bool {
        matches!(*column, Type::TEXT | Type::JSONB)
    }
}

/// The columns of a row, one after the other.
struct Columns<'r> {
    row: &'r Row,
    at: usize,
}

impl<'r> Columns<'r> {
    fn next<T: FromSql<'r>>(&mut self) -> T {
        let value = self.row.get(self.at);
        self.at += 1;
        value
    }

    fn json(&mut self) -> &'r RawValue {
        self.next::<JsonText>().0
    }

    fn moment(&mut self) -> Moment<'r> {
        Moment::Decoded(self.next())
    }
}

fn circle<'r>(column: &mut Columns<'r>) -> Circle<'r> {
    Circle {
        id: column.next(),
        name: column.next(),
        display_name: column.next(),
        description: column.next(),
        status: column.next(),
        require_review: column.next(),
        auto_route: column.next(),
        max_members: column.next(),
        settings: column.json(),
        project_context: column.next(),
        is_active: column.next(),
        started_at: column.next::<Option<_>>().map(Moment::Decoded),
        stopped_at: column.next::<Option<_>>().map(Moment::Decoded),
        created_at: column.moment(),
        updated_at: column.moment(),
        protected_labels: column.json(),
        member_count: 0,
        members: None,
    }
}

fn roster_member(row: &Row, at: usize) -> RosterMember<'_> {
    let mut column = Columns { row, at };
    RosterMember {
        member_id: column.next(),
        agent_id: column.next(),
        role: column.next(),
        is_active: column.next(),
        joined_at: column.moment(),
        competencies: column.json(),
        can_review: column.json(),
        permissions: column.json(),
        agent_name: column.next(),
        agent_role: column.next(),
        system_prompt: column.next(),
        base_prompt: column.next(),
        skill_names: column.json(),
        agent_status: column.next(),
        temperature: column.next(),
        max_tokens: column.next(),
        model_id: column.next(),
        model_name: column.next(),
        model_alias: column.next(),
        provider_id: column.next(),
        provider_name: column.next(),
        provider_api_type: column.next(),
    }
}

/// Rows in the roster's order; `at` is where the member's columns begin.
fn sort(rows: &mut [Row], at: usize) {
    rows.sort_by_cached_key(|row| {
        let role = row.get(at + 2);
        (wire::rank(role), row.get::<_, DateTime<Utc>>(at + 4), row.get::<_, i64>(at))
    });
}

pub async fn get_roster(State(app): Shared, Path(name): Path<String>) -> Result<Response, Failure> {
    let mut rows = app.query(&app.roster, &[&name]).await?;
    let first = rows.first().ok_or(NOT_FOUND)?;
    if first.get::<_, Option<i64>>(CIRCLE_COLUMNS).is_none() {
        let found = Circle { members: Some(vec![]), ..circle(&mut Columns { row: first, at: 0 }) };
        return Ok(wire::json(serde_json::to_vec(&found)?));
    }
    sort(&mut rows, CIRCLE_COLUMNS);
    let members: Vec<_> = rows.iter().map(|row| roster_member(row, CIRCLE_COLUMNS)).collect();
    let found = Circle {
        member_count: rows.len().try_into()?,
        members: Some(members),
        ..circle(&mut Columns { row: &rows[0], at: 0 })
    };
    let mut out = Vec::with_capacity(2048 * (rows.len() + 1));
    serde_json::to_writer(&mut out, &found)?;
    Ok(wire::json(out))
}

#[derive(Deserialize)]
pub struct Asked {
    limit: Option<u16>,
    cursor: Option<String>,
    include: Option<String>,
}

impl Asked {
    fn limit(&self) -> Result<i64, Failure> {
        let limit = self.limit.unwrap_or(50);
        let sound = (1..=200).contains(&limit);
        sound.then_some(limit.into()).ok_or(Failure(StatusCode::UNPROCESSABLE_ENTITY))
    }
}

pub async fn list_circles(State(app): Shared, Query(asked): Query<Asked>) -> Result<Response, Failure> {
    let (limit, after) = (asked.limit()?, wire::after(asked.cursor.as_deref())?);
    let rows = app.query(&app.list, &[&after, &(limit + 1)]).await?;
    let circles = rows.iter().map(|row| {
        let mut column = Columns { row, at: 0 };
        let found = circle(&mut column);
        Circle { member_count: column.next(), ..found }
    });
    let mut page = Page::cut(circles.collect(), limit.try_into()?, |circle: &Circle| circle.id);
    let mut members;
    if asked.include.as_deref() == Some("members") {
        let ids: Vec<i64> = page.data.iter().map(|circle| circle.id).collect();
        members = app.query(&app.members, &[&ids]).await?;
        sort(&mut members, 1);
        let mut of_circle: HashMap<i64, Vec<_>> = HashMap::with_capacity(ids.len());
        for row in &members {
            of_circle.entry(row.get(0)).or_default().push(roster_member(row, 1));
        }
        for circle in &mut page.data {
            circle.members = Some(of_circle.remove(&circle.id).unwrap_or_default());
        }
    }
    let mut out = Vec::with_capacity(32 * 1024);
    serde_json::to_writer(&mut out, &page)?;
    Ok(wire::json(out))
}

#[derive(Deserialize)]
pub struct NewMember {
    agent_id: i64,
    role: String,
}

/// With the checks, the locks and the audit entry of the service: the circle is held and has room, the
/// agent is live and no member, and neither it nor its model or provider changes meanwhile.
const ADD: &str = "WITH a AS (SELECT id, model_id FROM agents WHERE id = $2 AND is_active FOR SHARE), \
    o AS (SELECT o.id FROM models o JOIN providers p ON p.id = o.provider_id \
      WHERE o.id = (SELECT model_id FROM a) FOR SHARE), \
    c AS (SELECT id, max_members, member_count FROM circles WHERE name = $1 AND is_active FOR UPDATE), \
    added AS (INSERT INTO members (circle_id, agent_id, role, joined_at) \
    SELECT c.id, a.id, $3, $4 FROM c, a, (SELECT count(*) FROM o) held \
    WHERE (c.max_members IS NULL OR c.member_count < c.max_members) \
    ON CONFLICT (circle_id, agent_id) DO UPDATE SET role = EXCLUDED.role, is_active = true, \
      joined_at = EXCLUDED.joined_at, left_at = NULL, competencies = '[]', can_review = '[]', permissions = '{}', params = '{}', \
      temperature = NULL, max_tokens = NULL, revision = members.revision + 1 WHERE NOT members.is_active \
    RETURNING id, circle_id, agent_id, role, competencies, can_review, permissions, temperature, max_tokens, params, \
      is_active, joined_at, left_at, revision), \
    noted AS (INSERT INTO audit_entries (at, action, resource, resource_id, name, fields, revision, request_id) \
      SELECT $4, 'create', 'member', id, $1 || '/' || $2, '[]', revision, $5 FROM added) \
    SELECT id, circle_id, agent_id, role, competencies, can_review, permissions, temperature, max_tokens, params, \
      is_active, joined_at, left_at FROM added";

pub async fn add_member(
    State(app): Shared,
    Path(name): Path<String>,
    Json(new): Json<NewMember>,
) -> Result<Response, Failure> {
    let request = format!("{}", Utc::now().timestamp_micros());
    let rows = app.query(ADD, &[&name, &new.agent_id, &new.role, &Utc::now(), &request]).await?;
    let mut column = Columns { row: rows.first().ok_or(Failure(StatusCode::CONFLICT))?, at: 0 };
    let added = Member {
        id: column.next(),
        circle_id: column.next(),
        agent_id: column.next(),
        role: column.next(),
        competencies: column.json(),
        can_review: column.json(),
        permissions: column.json(),
        temperature: column.next(),
        max_tokens: column.next(),
        params: column.json(),
        is_active: column.next(),
        joined_at: column.next(),
        left_at: column.next(),
    };
    let location = format!("/v1/circles/{name}/members/{}", new.agent_id);
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::LOCATION, &location)];
    Ok((StatusCode::CREATED, headers, Bytes::from(serde_json::to_vec(&added)?)).into_response())
}

const MODELS: &str = "SELECT id, provider_id, model_name, catalog_key, model_alias, mode, input_price, output_price, \
    cache_read_price, cache_write_price, context_window, max_output, default_temperature, default_params, supports_vision, \
    supports_tools, supports_streaming, supports_reasoning, supports_response_schema, supports_prompt_caching, \
    supports_pdf_input, supports_audio_input, supports_web_search, supports_computer_use, accepts_sampling, \
    reasoning_efforts, price_tiers, prices, price_source, priced_at, pinned_fields, release_date, deprecation_date, \
    is_deprecated, created_at, updated_at FROM models WHERE id > $1 ORDER BY id LIMIT $2";

pub async fn list_models(State(app): Shared, Query(asked): Query<Asked>) -> Result<Response, Failure> {
    let (limit, after) = (asked.limit()?, wire::after(asked.cursor.as_deref())?);
    let rows = app.query(MODELS, &[&after, &(limit + 1)]).await?;
    let models = rows.iter().map(|row| {
        let mut column = Columns { row, at: 0 };
        Model {
            id: column.next(),
            provider_id: column.next(),
            model_name: column.next(),
            catalog_key: column.next(),
            model_alias: column.next(),
            mode: column.next(),
            input_price: column.next::<Option<_>>().map(Price),
            output_price: column.next::<Option<_>>().map(Price),
            cache_read_price: column.next::<Option<_>>().map(Price),
            cache_write_price: column.next::<Option<_>>().map(Price),
            context_window: column.next(),
            max_output: column.next(),
            default_temperature: column.next(),
        default_params: column.json(),
            supports_vision: column.next(),
            supports_tools: column.next(),
            supports_streaming: column.next(),
            supports_reasoning: column.next(),
            supports_response_schema: column.next(),
            supports_prompt_caching: column.next(),
            supports_pdf_input: column.next(),
            supports_audio_input: column.next(),
            supports_web_search: column.next(),
            supports_computer_use: column.next(),
            accepts_sampling: column.next(),
            reasoning_efforts: column.json(),
            price_tiers: column.json(),
            prices: column.json(),
            price_source: column.next(),
            priced_at: column.next(),
            pinned_fields: column.json(),
            release_date: column.next(),
            deprecation_date: column.next(),
            is_deprecated: column.next(),
            created_at: column.next(),
            updated_at: column.next(),
        }
    });
    let page = Page::cut(models.collect(), limit.try_into()?, |model| model.id);
    let mut out = Vec::with_capacity(32 * 1024);
    serde_json::to_writer(&mut out, &page)?;
    Ok(wire::json(out))
}

const HANDLES: &str = "c.id, c.name, c.status, c.require_review, c.max_members, c.settings::json ->> 'instructions', \
    c.project_context, m.id, m.agent_id, m.role, m.is_active, m.joined_at, m.competencies, m.can_review, \
    m.permissions, m.temperature, m.max_tokens, a.name, a.role, a.description, a.status, a.system_prompt, a.base_prompt, \
    a.skill_names, a.competencies, a.can_review, a.temperature, a.max_tokens, o.model_name, o.context_window, \
    o.max_output, o.default_temperature, o.supports_vision, o.supports_tools, o.supports_streaming, \
    o.supports_reasoning, o.is_deprecated, o.deprecation_date, p.name, p.api_type, p.base_url, p.is_local, \
    p.api_key_env, m.params, a.params, a.fallback_model_ids, a.tools, o.default_params, o.accepts_sampling, \
    o.reasoning_efforts, o.supports_response_schema, p.config, a.traits, a.languages, a.communication_style, \
    a.metadata, c.settings, a.version";
const HANDLES_MEMBER: usize = 7;
const HANDLES_SETTINGS: usize = 56;
const HANDLES_VERSION: usize = 57;

pub async fn get_handles(State(app): Shared, Path(name): Path<String>) -> Result<Response, Failure> {
    let mut rows = app.query(&app.handles, &[&name]).await?;
    let first = rows.first().ok_or(NOT_FOUND)?;
    let members = first.get::<_, Option<i64>>(HANDLES_MEMBER).is_some();
    if members {
        sort(&mut rows, HANDLES_MEMBER);
    }
    let mut column = Columns { row: &rows[0], at: 0 };
    let (id, circle, status, require_review) = (column.next(), column.next(), column.next(), column.next());
    let max_members = column.next();
    let (instructions, context) = (column.next(), column.next());
    let settings: JsonText<'_> = rows[0].get(HANDLES_SETTINGS);
    let resolved = rows.iter().filter(|_| members).map(|row| handle(row, instructions, context));
    let handles: Vec<Handle<'_>> = resolved.collect::<Result<_, _>>()?;
    let answer = Handles {
        circle_id: id,
        circle,
        status,
        require_review,
        settings: settings.0,
        warnings: handles::check_circle(require_review, max_members, &handles),
        handles,
    };
    let mut out = Vec::with_capacity(2048 * (rows.len() + 1));
    serde_json::to_writer(&mut out, &answer)?;
    Ok(wire::json(out))
}

fn list(json: &RawValue) -> Result<Vec<&str>, serde_json::Error> {
    serde_json::from_str(json.get())
}

fn handle<'r>(
    row: &'r Row,
    instructions: Option<&'r str>,
    project_context: Option<&'r str>,
) -> Result<Handle<'r>, serde_json::Error> {
    let mut column = Columns { row, at: HANDLES_MEMBER };
    let (member_id, agent_id, role) = (column.next(), column.next(), column.next());
    column.at += 2;
    let (own_competencies, own_review) = (list(column.json())?, list(column.json())?);
    let permissions = column.json();
    let (own_temperature, own_tokens) = (column.next::<Option<f64>>(), column.next::<Option<i64>>());
    let (agent_name, agent_role) = (column.next(), column.next());
    let (agent_description, agent_status) = (column.next(), column.next());
    let (system_prompt, base_prompt) = (column.next(), column.next());
    let skill_names = list(column.json())?;
    let (competencies, can_review) = (list(column.json())?, list(column.json())?);
    let (temperature, max_tokens) = (column.next(), column.next());
    let model: Option<&str> = column.next();
    let context_window = column.next();
    let max_output = column.next();
    let default_temperature = column.next();
    let mut flag = || column.next::<Option<bool>>().unwrap_or_default();
    let capabilities = Capabilities { vision: flag(), tools: flag(), streaming: flag(), reasoning: flag(), response_schema: false };
    let is_deprecated = flag();
    let retired: Option<NaiveDate> = column.next();
    let provider: Option<&str> = column.next();
    let (api_type, base_url) = (column.next(), column.next());
    let is_local = column.next::<Option<bool>>().unwrap_or_default();
    let api_key_env: Option<&str> = column.next();
    let own_params: JsonText<'_> = column.next();
    let (agent_params, fallbacks, tools) = (column.json(), column.json(), column.json());
    let default_params: Option<JsonText<'_>> = column.next();
    let accepts_sampling: Option<bool> = column.next();
    let _efforts: Option<JsonText<'_>> = column.next();
    let response_schema = column.next::<Option<bool>>().unwrap_or_default();
    let provider_config: Option<JsonText<'_>> = column.next();
    let (traits, languages) = (list(column.json())?, list(column.json())?);
    let (communication_style, metadata) = (column.next(), column.json());
    let default_params = default_params.map_or("{}", |params| params.0.get());
    let set = [own_params.0.get(), agent_params.get(), default_params];
    let plain = set.iter().all(|params| *params == "{}") && fallbacks.get() == "[]" && tools.get() == "[]";
    if !plain || accepts_sampling == Some(false) {
        return Err(serde::de::Error::custom("the peer resolves no parameters, tools or fallback models"));
    }

    let agent_version: i64 = row.get(HANDLES_VERSION);
    let words = Words { name: agent_name, role: agent_role, system_prompt, base_prompt, instructions, project_context };
    let prompt = handles::compose(&words, &skill_names);
    let state = model.map(|name| ModelState {
        name,
        retired,
        is_deprecated,
        provider: provider.unwrap_or_default(),
        has_key: api_key_env.is_some(),
        is_local,
        context_window,
    });
    let warnings = handles::check(agent_id, agent_name, &prompt, state.as_ref());
    let (of_temperature, temperature) =
        handles::first([("member", own_temperature), ("agent", temperature), ("model", default_temperature)]);
    let (of_tokens, max_tokens) =
        handles::first([("member", own_tokens), ("agent", max_tokens), ("model", max_output)]);
    let (of_competencies, competencies) =
        handles::first([("member", handles::said(own_competencies)), ("agent", handles::said(competencies))]);
    let (of_review, can_review) =
        handles::first([("member", handles::said(own_review)), ("agent", handles::said(can_review))]);
    Ok(Handle {
        agent_id,
        agent_version,
        agent_name,
        agent_role,
        agent_description,
        agent_status,
        member_id,
        role,
        competencies: competencies.unwrap_or_default(),
        can_review: can_review.unwrap_or_default(),
        permissions,
        provider,
        api_type,
        base_url,
        api_key_env,
        provider_config: provider_config.map(|config| config.0),
        model,
        context_window,
        max_output,
        capabilities: model.is_some().then_some(Capabilities { response_schema, ..capabilities }),
        temperature,
        max_tokens,
        params: Nothing {},
        omitted: [],
        tools: [],
        fallbacks: [],
        attributes: Attributes {
            agent_id: agent_id.to_string(),
            agent_name,
            agent_version: agent_version.to_string(),
            request_model: model,
            provider_name: provider,
        },
        skill_names,
        traits,
        languages,
        communication_style,
        metadata,
        system_prompt: prompt.text,
        provenance: Provenance {
            system_prompt: prompt.parts,
            temperature: of_temperature,
            max_tokens: of_tokens,
            params: Nothing {},
            competencies: of_competencies,
            can_review: of_review,
        },
        warnings,
    })
}
