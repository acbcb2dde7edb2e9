//! Every URL of the program.

use axum::Router;
use axum::extract::Request;
use axum::middleware;
use axum::response::IntoResponse;
use axum::routing::{MethodRouter, get, post};

use crate::accounts::auth::authenticate_request;
use crate::accounts::pages;
use crate::admin::Permission::{Add, Change, Delete, View};
use crate::admin::guard::Needs::{Login, NoSuch, Nothing, On};
use crate::admin::guard::Route;
use crate::admin_site::seats::{of_show, standing};
use crate::admin_site::timetable;
use crate::error::ApiError;
use crate::plans::pages as plans;
use crate::prices::pages as prices;
use crate::programme::api::PARAMETERS as SHOW_FILTERS;
use crate::state::App;
use crate::web::endpoint::{Access, CREATE, EDIT, Endpoint, Query, READ, mount, open_file, redirecting};
use crate::web::html::assets;
use crate::web::html::page::PageArea;
use crate::web::{health, layers};
use crate::{accounts, admin, admin_site, bookings, cinema, holds, movies, openapi, orders, posters, programme, shows};

/// The parts of the site that answer with pages.
const PAGES: &[PageArea] = &[admin_site::PAGES];

/// Returns the whole program as one service.
pub fn router(app: &App) -> Router {
    let contract = [
        ("/api/signup/", "Signup", Access::Guest, CREATE, post(accounts::api::signup)),
        ("/api/login/", "Login", Access::Public, CREATE, post(accounts::api::login)),
        ("/api/token/refresh/", "Token Refresh", Access::Public, CREATE, post(accounts::api::refresh)),
        ("/api/movies/", "Movie List", Access::User, READ, get(movies::api::list_movies)),
        ("/api/movies/{movie_id}/shows/", "Show List", Access::User, READ, get(shows::api::list_shows)),
        ("/api/shows/{show_id}/book/", "Book Seat", Access::User, CREATE, post(bookings::api::book)),
        ("/api/bookings/{booking_id}/cancel/", "Cancel Booking", Access::User, CREATE, post(bookings::api::cancel)),
        ("/api/my-bookings/", "My Bookings", Access::User, READ, get(bookings::api::my_bookings)),
    ];
    // With the query parameters that each endpoint accepts.
    let own: [(_, _, _, _, &[&str], _); 22] = [
        ("/api/cinema/", "Cinema", Access::Public, READ, &[], get(cinema::api::get)),
        ("/api/me/", "Account", Access::User, EDIT, &[], get(accounts::api::me).patch(accounts::api::change_me)),
        ("/api/me/logout/", "Log Out", Access::User, CREATE, &[], post(accounts::api::log_out)),
        ("/api/me/password/", "Change Password", Access::User, CREATE, &[], post(accounts::api::change_password)),
        ("/api/bookings/{booking_id}/", "Booking", Access::User, READ, &[], get(bookings::api::get)),
        ("/api/movies/{movie_id}/", "Movie", Access::Public, READ, &[], get(programme::api::get_movie)),
        ("/api/screens/", "Screen List", Access::Public, READ, &[], get(programme::api::list_screens)),
        ("/api/shows/", "Programme", Access::Public, READ, SHOW_FILTERS, get(programme::api::list_shows)),
        ("/api/shows/{show_id}/", "Show", Access::Public, READ, &["key"], get(programme::api::get_show)),
        ("/api/shows/{show_id}/seats/", "Seat Map", Access::Public, READ, &["key"], get(shows::seat_map::get)),
        ("/api/shows/{show_id}/prices/", "Prices", Access::Public, READ, &["key"], get(shows::prices::get)),
        ("/api/plans/{plan}/", "Seat Plan", Access::Public, READ, &[], get(shows::seat_map::get_plan)),
        ("/api/shows/{show_id}/holds/", "Hold Seats", Access::User, CREATE, &["key"], post(holds::api::hold)),
        ("/api/holds/", "Hold List", Access::User, READ, &[], get(holds::api::list)),
        ("/api/holds/{hold_id}/", "Hold", Access::User, READ, &[], get(holds::api::get)),
        ("/api/holds/{hold_id}/extend/", "Extend Hold", Access::User, CREATE, &[], post(holds::api::extend)),
        ("/api/holds/{hold_id}/change/", "Change Hold", Access::User, CREATE, &[], post(holds::api::change)),
        ("/api/holds/{hold_id}/release/", "Release Hold", Access::User, CREATE, &[], post(holds::api::release)),
        ("/api/holds/{hold_id}/confirm/", "Confirm Hold", Access::User, CREATE, &[], post(holds::api::confirm)),
        ("/api/orders/", "Order List", Access::User, READ, &["cursor", "limit"], get(orders::api::list)),
        ("/api/orders/{code}/", "Order", Access::User, READ, &[], get(orders::api::get)),
        ("/api/orders/{code}/cancel/", "Cancel Order", Access::User, CREATE, &[], post(orders::api::cancel)),
    ];
    let mut router = Router::new();
    for (path, name, access, allow, handler) in contract {
        router = mount(
            router,
            app,
            Endpoint { path, name, access, allow, query: Query::Any },
            authenticate_request,
            handler,
        );
    }
    for (path, name, access, allow, query, handler) in own {
        let endpoint = Endpoint { path, name, access, allow, query: Query::Only(query) };
        router = mount(router, app, endpoint, authenticate_request, handler);
    }
    router = with_documentation(router, app);
    for (route, handler) in admin_panel() {
        router = admin::guard::mount(router, app, &admin_site::SITE, route, handler);
    }
    let router = with_posters(router)
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .fallback(async || ApiError::NotFound.into_response())
        .method_not_allowed_fallback(async |method| ApiError::MethodNotAllowed(method).into_response())
        .with_state(app.clone());
    layers::around(router, app, PAGES)
}

/// Adds the schema and the pages that show it.
fn with_documentation(mut router: Router<App>, app: &App) -> Router<App> {
    let texts = openapi::texts(app.config.public_url.as_deref());
    let schema = get(move |request: Request| std::future::ready(openapi::schema(&texts, &request)));
    for (path, handler) in
        [("/api/schema/", schema), ("/swagger/", get(openapi::swagger)), ("/redoc/", get(openapi::redoc))]
    {
        router = redirecting(router, path).route(path, handler);
    }
    router
        .route("/swagger/start.js", get(openapi::swagger_start))
        .route("/swagger/{*file}", get(openapi::swagger_file))
        .route("/redoc/{*file}", get(openapi::redoc_file))
}

/// Adds the pictures that everyone may see. They are not negotiated: an image on a page accepts no JSON.
fn with_posters(router: Router<App>) -> Router<App> {
    let routes = [
        ("/posters/{hash}/{file}", get(posters::api::get)),
        ("/posters/placeholder/{file}", get(posters::api::get_placeholder)),
    ];
    let opened = |handler: MethodRouter<App>| handler.layer(middleware::map_response(open_file));
    routes.into_iter().fold(router, |router, (path, handler)| router.route(path, opened(handler)))
}

/// The routes of the admin panel: path, what GET and POST require, and the handler.
pub fn admin_panel() -> Vec<(Route, MethodRouter<App>)> {
    let rows = [
        ("/admin/", Login, NoSuch, get(admin::index::page)),
        ("/admin/login/", Nothing, Nothing, get(pages::login_page).post(pages::log_in)),
        ("/admin/logout/", NoSuch, Login, post(pages::log_out)),
        ("/admin/password/", Login, Login, get(pages::password_page).post(pages::set_password)),
        ("/admin/log/", Login, NoSuch, get(admin::history::recent)),
        ("/admin/door/", Login, NoSuch, get(admin_site::door::page)),
        ("/admin/timetable/", Login, Login, get(timetable::page).post(timetable::move_show)),
        ("/admin/plans/{plan}/places.css", Login, NoSuch, get(admin_site::seats::map::places)),
        ("/admin/static/{file}", Nothing, NoSuch, get(assets::file)),
        ("/admin/{model}/", On(View), On(Change), get(admin::list::page).post(admin::list::save_column)),
        ("/admin/{model}/export/", On(View), NoSuch, get(admin::export::download)),
        ("/admin/{model}/names/", On(View), NoSuch, get(admin::lookup::names)),
        ("/admin/{model}/actions/{action}/", On(View), On(View), get(admin::actions::ask).post(admin::actions::run)),
        ("/admin/{model}/add/", On(Add), On(Add), get(admin::change::add_page).post(admin::change::add)),
        ("/admin/{model}/{id}/change/", On(View), On(Change), get(admin::change::page).post(admin::change::change)),
        ("/admin/{model}/{id}/delete/", On(Delete), On(Delete), get(admin::delete::page).post(admin::delete::delete)),
        ("/admin/{model}/{id}/seats/", On(View), On(Change), get(of_show::page).post(of_show::change)),
        ("/admin/{model}/{id}/blocks/", On(View), On(Change), get(standing::page).post(standing::change)),
        ("/admin/{model}/{id}/data/", On(View), NoSuch, get(admin::download::data)),
        ("/admin/{model}/{id}/history/", On(View), NoSuch, get(admin::history::of_object)),
        ("/admin/{model}/{id}/plan/", On(View), On(Change), get(plans::editor::page).post(plans::editor::post)),
        ("/admin/{model}/{id}/plan/preview/", NoSuch, On(Change), post(plans::preview::fragment)),
        (
            "/admin/{model}/{id}/plan/import/",
            On(Change),
            On(Change),
            get(plans::import::page).post(plans::import::post),
        ),
        ("/admin/{model}/{id}/plan/version/", On(View), NoSuch, get(plans::versions::page)),
        ("/admin/{model}/{id}/plan/export/", On(View), NoSuch, get(plans::versions::export)),
        ("/admin/{model}/{id}/prices/", On(View), On(Change), get(prices::card::page).post(prices::card::post)),
        ("/admin/{model}/{id}/prices/version/", On(View), NoSuch, get(prices::versions::page)),
        ("/admin/{model}/all/", On(View), On(Change), get(prices::rules::page).post(prices::rules::post)),
        ("/admin/{model}/{id}/plan/shows/", On(View), On(Change), get(plans::shows::page).post(plans::shows::give)),
    ];
    let without_file = |(path, get, post, handler)| (Route { path, get, post, file_max: 0 }, handler);
    let poster =
        Route { path: "/admin/{model}/{id}/poster/", get: NoSuch, post: On(Change), file_max: posters::FILE_MAX };
    rows.into_iter().map(without_file).chain([(poster, post(posters::pages::change))]).collect()
}
