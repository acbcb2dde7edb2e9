//! The URLs of the panel's pages. Pages pass on `back`: the query of the list that the user came from, or the path of a
//! page that is no list.

use super::query::ListQuery;
use super::{Action, Leads, Model, Site, Staff};

/// Returns the URL of the list that the user came from. `back` is its query, or the path of another page of the panel, so
/// it can't lead to another site.
pub fn list_url(model: &Model, back: &str) -> String {
    let mark = if back.is_empty() { "" } else { "?" };
    let query: String = back.chars().filter(char::is_ascii_graphic).collect();
    if is_page(&query) {
        return query;
    }
    format!("{}{mark}{query}", model.url())
}

/// Returns the URL of the list of a model's objects that belong to this object of another model, if a filter finds them.
pub fn objects_url(model: &Model, owner: &Model, id: i64) -> Option<String> {
    let filter = model.filters.iter().find(|filter| filter.by.model() == Some(owner.name))?;
    Some(format!("/admin/{}/?{}={id}", model.name, filter.name))
}

/// Returns the URL that a value of an object leads to. `number` is the value; `model` and `id` are the object.
pub fn led_url(site: &Site, staff: &Staff, leads: Leads, number: i64, model: &Model, id: i64) -> Option<String> {
    let seen = |name: &str| site.model(name).filter(|model| staff.sees(model));
    match leads {
        Leads::Nowhere => None,
        Leads::To(name) => Some(change_url(seen(name)?, number)),
        Leads::Objects(name) => objects_url(seen(name)?, model, id),
        Leads::Page(url) => Some(url.replace("{id}", &id.to_string())),
    }
}

/// Checks whether this is the path of a page of the panel.
pub fn is_page(back: &str) -> bool {
    back.starts_with("/admin/")
}

/// Returns the URL of an object's form.
pub fn change_url(model: &Model, id: i64) -> String {
    format!("/admin/{}/{id}/change/", model.name)
}

/// Returns the URL that searches names of a model's objects.
pub fn names_url(model: &Model) -> String {
    format!("/admin/{}/names/", model.name)
}

/// Returns the URL of an action's confirmation page for this object.
pub fn action_url(model: &'static Model, action: &Action, id: i64, back: &str) -> String {
    let list = ListQuery::read(model, back).text();
    let list = if list.is_empty() { list } else { format!("&{list}") };
    format!("/admin/{}/actions/{}/?ids={id}{list}", model.name, action.name)
}

/// Returns a query that passes on `back`, or nothing if it is empty.
pub fn back_query(back: &str) -> String {
    match back {
        "" => String::new(),
        back => format!("?{}", form_urlencoded::Serializer::new(String::new()).append_pair("back", back).finish()),
    }
}
