//! The members of circles, compared with the memberships that there are.

use std::collections::{HashMap, HashSet};

use entity::{circle, member, values::now};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::{NotSet, Set},
    IntoActiveModel, TryIntoModel,
};
use serde_json::{Map, Value};

use super::{
    described::Described,
    planner::Planner,
    shown::Form,
    table::{FurtherFields, RequestedRow, complete},
};
use crate::{
    error::Error,
    write::merge,
    yaml::{Node, NodeMap},
};

/// What is done to memberships.
#[derive(Debug, Default)]
pub(super) struct MemberPlan {
    /// New ones, of which circle and agent may have provisional ids.
    pub(super) added: Vec<member::ActiveModel>,
    /// With the rows before.
    pub(super) changed: Vec<(member::Model, member::ActiveModel)>,
    pub(super) ended: Vec<member::Model>,
}

impl MemberPlan {
    /// How many rows are written.
    pub(super) fn writes(&self) -> usize {
        self.added.len() + self.changed.len() + self.ended.len()
    }
}

/// Memberships, by circle and agent.
#[derive(Debug)]
pub(super) struct CircleMembers {
    form: Form,
    rows: HashMap<i64, HashMap<i64, member::Model>>,
    plan: MemberPlan,
}

impl CircleMembers {
    pub(super) fn of(rows: Vec<member::Model>) -> Result<Self, Error> {
        let mut by_circle: HashMap<i64, HashMap<i64, member::Model>> = HashMap::new();
        for row in rows {
            let of_circle = by_circle.entry(row.circle_id).or_default();
            of_circle.insert(row.agent_id, row);
        }
        Ok(Self {
            form: Form::of::<member::Entity>()?,
            rows: by_circle,
            plan: MemberPlan::default(),
        })
    }

    pub(super) fn into_plan(self) -> MemberPlan {
        self.plan
    }

    /// Compares the members of a circle in a document with those that it has.
    pub(super) fn compare(
        &mut self,
        planner: &mut Planner,
        circle: &RequestedRow<'_, circle::Entity>,
    ) -> Result<FurtherFields, Error> {
        let mut rows = self.rows.remove(&circle.id).unwrap_or_default();
        let active = rows.values().filter(|row| row.is_active).cloned();
        let was = self.show(planner, active.collect())?;
        let (mut after, mut agents) = (Vec::new(), HashSet::new());
        let (mut adds, mut differ) = (false, false);
        let members = circle.entry.fields.get("members").and_then(Value::as_array);
        for (index, fields) in members.into_iter().flatten().enumerate() {
            let place = format!("{}/members/{index}", circle.place);
            let fields = fields.as_object().cloned().unwrap_or_default();
            let Some(requested) = requested(planner, fields, &place, circle.id) else {
                continue;
            };
            let agent_id = requested.agent_id.try_as_ref().copied().unwrap_or_default();
            if !agents.insert(agent_id) {
                planner.error(&place, "names an agent that appears earlier in the list");
                continue;
            }
            let before = rows.remove(&agent_id);
            adds |= before.as_ref().is_none_or(|before| !before.is_active);
            let (row, is_changed) = self.add(before, requested)?;
            differ |= is_changed;
            after.push(row);
        }
        let limit = circle.after.max_members.map_or(i64::MAX, i64::from);
        if adds && i64::try_from(after.len()).is_ok_and(|count| count > limit) {
            let place = format!("{}/members", circle.place);
            planner.error(
                &place,
                format!("has more than the {limit} members of max_members"),
            );
        }
        let ended = rows.into_values().filter(|row| row.is_active);
        let known = self.plan.ended.len();
        self.plan.ended.extend(ended);
        differ |= self.plan.ended.len() > known;
        let is = self.show(planner, after)?;
        Ok(FurtherFields { was, is, differ })
    }

    /// Plans what makes a membership as it is requested. Returns the row then, and whether it differs.
    fn add(
        &mut self,
        before: Option<member::Model>,
        requested: member::ActiveModel,
    ) -> Result<(member::Model, bool), Error> {
        let Some(before) = before else {
            let row = complete::<member::Entity>(requested.clone(), 0)?;
            self.plan.added.push(requested);
            return Ok((row, true));
        };
        let requested = if before.is_active {
            member::ActiveModel {
                joined_at: NotSet,
                ..requested
            }
        } else {
            requested
        };
        let row = merge(before.clone().into_active_model(), &requested);
        let is_changed = row.is_changed();
        let after = row.clone().try_into_model()?;
        if is_changed {
            self.plan.changed.push((before, row));
        }
        Ok((after, is_changed))
    }

    /// Members as a document shows them, by name: their order is that in which they joined, which nothing sets.
    fn show(&self, planner: &Planner, rows: Vec<member::Model>) -> Result<NodeMap, Error> {
        let names = &planner.state.names;
        let mut shown: Vec<(String, Node)> = Vec::with_capacity(rows.len());
        for row in rows {
            let name = member::Entity::name(&row, names);
            let entry = self.form.show::<member::Entity>(row, names)?;
            shown.push((name, entry.into()));
        }
        shown.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        let members: Vec<Node> = shown.into_iter().map(|(_, entry)| entry).collect();
        let mut fields = NodeMap::new();
        if !members.is_empty() {
            fields.insert("members".to_owned(), members.into());
        }
        Ok(fields)
    }
}

fn requested(
    planner: &mut Planner,
    fields: Map<String, Value>,
    place: &str,
    circle_id: i64,
) -> Option<member::ActiveModel> {
    let requested = planner.requested::<member::Entity>(fields, place)?;
    Some(member::ActiveModel {
        circle_id: Set(circle_id),
        ..requested
    })
}

/// A membership that ends.
pub(super) fn end(row: member::Model) -> member::ActiveModel {
    member::ActiveModel {
        is_active: Set(false),
        left_at: Set(Some(now())),
        ..row.into_active_model()
    }
}
