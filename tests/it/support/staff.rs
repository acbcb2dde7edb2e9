//! Staff who work in the admin panel, with a browser each.

use std::collections::BTreeMap;

use super::{App, Call, Reply};

/// The password of all users created here.
pub const PASSWORD: &str = "Sturdy-Lantern-42";

/// Keeps cookies, and the forms' CSRF token.
#[derive(Clone, Default, Debug)]
pub struct Browser {
    pub cookies: BTreeMap<String, String>,
    pub csrf: String,
}

impl Browser {
    pub async fn get(&mut self, app: &App, path: impl Into<String>) -> Reply {
        self.send(app.base(), Call::get(path)).await
    }

    /// Sends a form, with the token.
    pub async fn post(&mut self, app: &App, path: impl Into<String>, fields: &[(&str, &str)]) -> Reply {
        let call = Call::post(path).body(Some("application/x-www-form-urlencoded"), self.form(fields));
        self.send(app.base(), call).await
    }

    /// Returns a form's body, with the token.
    pub fn form(&self, fields: &[(&str, &str)]) -> String {
        let fields = fields.iter().copied().chain([("csrf", self.csrf.as_str())]);
        form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
    }

    /// Sends the cookies, and keeps those of the reply.
    pub async fn send(&mut self, base: &str, call: Call) -> Reply {
        let call = match self.cookies.is_empty() {
            true => call,
            false => call.header("Cookie", self.cookie()),
        };
        let reply = call.send_to(base).await;
        for line in reply.headers.get_all("set-cookie") {
            let line = line.to_str().expect("a cookie is ASCII");
            let (name, rest) = line.split_once('=').expect("a cookie has a name");
            let value = rest.split(';').next().unwrap_or_default();
            match rest.contains("Max-Age=0") {
                true => drop(self.cookies.remove(name)),
                false => drop(self.cookies.insert(name.to_owned(), value.to_owned())),
            }
        }
        if let Some(csrf) = token_in(&reply.text) {
            self.csrf = csrf;
        }
        reply
    }

    pub fn cookie(&self) -> String {
        self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }

    /// Logs in if the username and password are right.
    pub async fn try_log_in(&mut self, app: &App, username: &str, password: &str) -> Reply {
        self.get(app, "/admin/login/").await.expect(200);
        self.post(app, "/admin/login/", &[("username", username), ("password", password)]).await
    }
}

/// The token of the first form on a page.
pub fn token_in(page: &str) -> Option<String> {
    page.split_once("name=\"csrf\" value=\"")?.1.split('"').next().map(str::to_owned)
}

impl App {
    /// Logs someone in to the admin panel and opens the first page.
    pub async fn at_the_panel(&self, username: &str) -> Browser {
        let mut browser = Browser::default();
        browser.try_log_in(self, username, PASSWORD).await.expect(303);
        browser.get(self, "/admin/").await.expect(200);
        browser
    }

    /// A new superuser, logged in to the admin panel.
    pub async fn superuser(&self, username: &str) -> Browser {
        let user = self.customer(username).await;
        self.sql(&format!("UPDATE users SET is_staff = 1, is_superuser = 1 WHERE id = {}", user.id)).await;
        self.at_the_panel(username).await
    }

    /// Creates a staff member with these permissions, like `movies.view`, through a group named after them, and logs in
    /// to the admin panel.
    pub async fn staff(&self, username: &str, permissions: &[&str]) -> Browser {
        let user = self.customer(username).await;
        self.sql(&format!("UPDATE users SET is_staff = 1 WHERE id = {}", user.id)).await;
        self.sql(&format!("INSERT INTO staff_groups (name, words_version) VALUES ('{username}', 1)")).await;
        let group = format!("(SELECT id FROM staff_groups WHERE name = '{username}')");
        self.sql(&format!("INSERT INTO group_members (user_id, group_id) VALUES ({}, {group})", user.id)).await;
        for permission in permissions {
            let row = format!("INSERT INTO group_permissions (group_id, permission) VALUES ({group}, '{permission}')");
            self.sql(&row).await;
        }
        self.at_the_panel(username).await
    }
}
