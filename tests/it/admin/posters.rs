//! Posters: uploaded in the panel, served to everyone, dumped and loaded. Hostile files end as a message, soon and in
//! little memory.

use std::time::Duration;

use image::codecs::jpeg::JpegEncoder;
use image::{ColorType, DynamicImage, ImageFormat, RgbImage};
use marquee::db::Db;
use marquee::jobs::{Lease, store as jobs};
use marquee::posters::{CLEANUP, FILE_MAX};
use serde_json::{Value, json};

use super::cinema::follow;
use super::pictures::*;
use crate::support::{App, Browser, Call, Engine, Reply};

tests! {
    admin_posters: [
        a_poster_is_uploaded_served_replaced_and_removed,
        only_those_who_may_change_movies,
        an_upload_has_limits,
        a_movie_without_a_poster_has_a_drawing,
        unused_posters_are_deleted,
        a_dump_has_the_posters,
        pictures_of_every_kind_come_out_right once,
        hostile_files_end_as_a_message once,
        large_pictures_need_little_memory once,
    ]
}

const MOVIE: &str = "/admin/movies/1/change/";
const POSTER: &str = "/admin/movies/1/poster/";

async fn start(engine: Engine) -> (App, Browser) {
    let app = App::start(engine).await;
    app.world().await;
    let root = app.superuser("root").await;
    (app, root)
}

fn form(csrf: &str, button: &str, file: &[u8]) -> Vec<u8> {
    let field = |name: &str, value: &str| {
        format!("--edge\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n").into_bytes()
    };
    let head = "--edge\r\nContent-Disposition: form-data; name=\"file\"; filename=\"../x.svg\"\r\n\
                Content-Type: image/jpeg\r\n\r\n";
    [&field("csrf", csrf)[..], head.as_bytes(), file, b"\r\n", &field("_do", button), b"--edge--\r\n"].concat()
}

fn call(who: &Browser, button: &str, file: &[u8]) -> Call {
    Call::post(POSTER).body(Some("multipart/form-data; boundary=edge"), form(&who.csrf, button, file))
}

async fn upload(app: &App, who: &mut Browser, file: &[u8]) -> String {
    let call = call(who, "upload", file);
    let reply = who.send(app.base(), call).await.expect(303);
    assert_eq!(reply.header("location").as_deref(), Some(MOVIE));
    follow(app, who, reply).await
}

async fn hash(app: &App) -> String {
    app.sql("SELECT poster FROM movies WHERE id = 1").await.concat().concat()
}

async fn served(app: &App, size: &str) -> Reply {
    Call::get(format!("/posters/{}/{size}.jpg", hash(app).await)).send(app).await.expect(200)
}

fn decoded(reply: &Reply) -> RgbImage {
    image::load_from_memory_with_format(&reply.bytes, ImageFormat::Jpeg).expect("a JPEG").into_rgb8()
}

async fn a_poster_is_uploaded_served_replaced_and_removed(engine: Engine) {
    let (app, mut root) = start(engine).await;
    let page = root.get(&app, MOVIE).await.expect(200).text;
    assert!(page.contains("/posters/placeholder/1.svg") && !page.contains("value=\"remove\""), "{page}");
    let page = upload(&app, &mut root, &encoded(&corners(1_200, 1_800), ImageFormat::Png)).await;
    let first = hash(&app).await;
    assert!(page.contains("The poster is saved.") && page.contains(&format!("/posters/{first}/medium.jpg")), "{page}");
    for (size, sides) in [("small", (200, 300)), ("medium", (500, 750)), ("large", (1_000, 1_500))] {
        let reply = served(&app, size).await;
        assert_eq!(decoded(&reply).dimensions(), sides);
        for (name, value) in [
            ("content-type", "image/jpeg"),
            ("x-content-type-options", "nosniff"),
            ("cache-control", "public, max-age=31536000, immutable"),
            ("access-control-allow-origin", "*"),
        ] {
            assert_eq!(reply.header(name).as_deref(), Some(value));
        }
        let path = format!("/posters/{first}/{size}.jpg");
        let etag = reply.header("etag").expect("an ETag");
        let known = Call::get(&path).header("If-None-Match", &etag).send(&app).await.expect(304);
        assert!(known.bytes.is_empty() && known.header("etag") == Some(etag));
        let head = Call::method("HEAD", &path).send(&app).await.expect(200);
        assert_eq!(head.header("content-length"), Some(reply.bytes.len().to_string()));
    }
    let page = upload(&app, &mut root, &encoded(&corners(1_200, 1_800), ImageFormat::Png)).await;
    assert!(page.contains("The movie has this poster already."), "{page}");
    upload(&app, &mut root, &encoded(&corners(100, 150), ImageFormat::Jpeg)).await;
    assert_ne!(hash(&app).await, first);
    assert_eq!(decoded(&served(&app, "large").await).dimensions(), (100, 150), "small pictures are not enlarged");
    Call::get(format!("/posters/{first}/small.jpg")).send(&app).await.expect(200);
    let call = call(&root, "remove", b"");
    let reply = root.send(app.base(), call).await;
    let page = follow(&app, &mut root, reply).await;
    assert!(page.contains("The poster is removed.") && page.contains("placeholder"), "{page}");
    let history = root.get(&app, "/admin/movies/1/history/").await.expect(200).text;
    assert!(history.matches("<th scope=\"row\">Poster</th>").count() == 3 || history.matches("Poster").count() >= 3);
    assert!(history.contains(&first[..12]), "{history}");
    for path in [
        format!("/posters/{first}/huge.jpg"),
        format!("/posters/{first}/small.png"),
        format!("/posters/{}/small.jpg", "0".repeat(64)),
        format!("/posters/{}/small.jpg", first.to_uppercase()),
        "/posters/%27/small.jpg".to_owned(),
        "/posters/%FF/small.jpg".to_owned(),
    ] {
        let reply = Call::get(&path).send(&app).await.expect(404);
        assert_eq!(reply.json(), json!({"detail": "Not found.", "code": "not_found"}), "{path}");
        assert_eq!(reply.header("access-control-allow-origin").as_deref(), Some("*"));
    }
    Call::post(format!("/posters/{first}/small.jpg")).send(&app).await.expect(405);
}

async fn only_those_who_may_change_movies(engine: Engine) {
    let (app, mut root) = start(engine).await;
    let file = encoded(&corners(100, 150), ImageFormat::Png);
    upload(&app, &mut root, &file).await;
    let mut viewer = app.staff("viewer", &["movies.view"]).await;
    let page = viewer.get(&app, MOVIE).await.expect(200).text;
    assert!(page.contains("/medium.jpg") && !page.contains("type=\"file\""), "{page}");
    let before = hash(&app).await;
    for button in ["upload", "remove"] {
        let sent = call(&viewer, button, &encoded(&corners(100, 120), ImageFormat::Png));
        viewer.send(app.base(), sent).await.expect(403);
        let forged = Browser { csrf: "x".to_owned(), ..root.clone() };
        let sent = call(&forged, button, &file).header("Sec-Fetch-Site", "cross-site");
        root.clone().send(app.base(), sent).await.expect(403);
        root.clone().send(app.base(), call(&forged, button, &file)).await.expect(403);
        call(&Browser::default(), button, &file).send(&app).await.expect(403);
    }
    let mut editor = app.staff("editor", &["movies.change"]).await;
    upload(&app, &mut editor, &encoded(&corners(100, 120), ImageFormat::Png)).await;
    let after = hash(&app).await;
    assert_ne!(after, before);
    for path in ["/admin/movies/99/poster/", "/admin/shows/1/poster/"] {
        let sent = Call::post(path).body(Some("multipart/form-data; boundary=edge"), form(&root.csrf, "upload", &file));
        root.send(app.base(), sent).await.expect(404);
    }
    // A session that ended while the form was open.
    app.sql("DELETE FROM admin_sessions").await;
    let sent = call(&root, "remove", b"");
    let asked = root.send(app.base(), sent).await.expect(403).text;
    assert!(asked.contains("You were logged out before this form was sent."), "{asked}");
    assert_eq!(hash(&app).await, after);
}

async fn an_upload_has_limits(engine: Engine) {
    let (app, mut root) = start(engine).await;
    let page = root.clone().send(app.base(), call(&root, "upload", &vec![0; FILE_MAX + 1])).await.expect(413).text;
    assert!(page.contains("too large") && page.contains("<nav"), "{page}");
    // The server may close the connection before such a body has been sent.
    let sent = call(&root, "upload", &vec![0; 3 * FILE_MAX]).header("Cookie", root.cookie());
    let refused = sent.try_send_to(app.base()).await;
    assert!(refused.is_err() || refused.is_ok_and(|reply| reply.status == 413));
    let page = upload(&app, &mut root, &vec![0; FILE_MAX]).await;
    assert!(page.contains("This is not a JPEG, PNG, WebP or GIF picture. Nothing was changed."), "{page}");
    let scans = flat_jpeg(200, 300, &[97, 96, 223], None, Scans::Repeated(100));
    let page = upload(&app, &mut root, &scans).await;
    assert!(page.contains("The picture is damaged or incomplete."), "{page}");
    let page = upload(&app, &mut root, b"").await;
    assert!(page.contains("Choose a picture first."), "{page}");
    // Only this form takes files.
    for path in [MOVIE, "/admin/movies/add/"] {
        let multipart = Some("multipart/form-data; boundary=edge");
        let sent = Call::post(path).body(multipart, form(&root.csrf, "upload", &[0; 100]));
        root.send(app.base(), sent).await.expect(415);
        let sent = Call::post(path).body(multipart, form(&root.csrf, "upload", &vec![0; 2_000_000]));
        root.send(app.base(), sent).await.expect(413);
    }
    for body in ["", "--edge", "--edge\r\n\r\n", "--edge\r\nContent-Disposition: form-data\r\n\r\nx\r\n--edge--"] {
        let sent = Call::post(POSTER).body(Some("multipart/form-data; boundary=edge"), body);
        let reply = root.clone().send(app.base(), sent).await;
        assert!([400, 403].contains(&reply.status), "{body}: {}", reply.status);
    }
    let parts = "--edge\r\nContent-Disposition: form-data; name=\"x\"\r\n\r\n\r\n".repeat(2_000) + "--edge--";
    let sent = Call::post(POSTER).body(Some("multipart/form-data; boundary=edge"), parts);
    root.clone().send(app.base(), sent).await.expect(400);
    let sent = Call::post(POSTER).body(Some("multipart/form-data"), "x");
    root.send(app.base(), sent).await.expect(400);
}

async fn a_movie_without_a_poster_has_a_drawing(engine: Engine) {
    let (app, _) = start(engine).await;
    let reply = Call::get("/posters/placeholder/1.svg").send(&app).await.expect(200);
    assert_eq!(reply.header("content-type").as_deref(), Some("image/svg+xml"));
    assert_eq!(reply.header("access-control-allow-origin").as_deref(), Some("*"));
    app.sql("UPDATE movies SET title = '<script>alert(1)</script> &amp; \"x\" onload=\"y' WHERE id = 1").await;
    let drawing = Call::get("/posters/placeholder/1.svg").send(&app).await.expect(200).text;
    assert!(!drawing.contains("<script") && !drawing.contains("\" onload=\""), "{drawing}");
    assert!(drawing.contains("&#60;script&#62;"), "{drawing}");
    for path in ["0.svg", "99.svg", "1.png", ".svg", "x.svg", "-1.svg", "99999999999999999999999.svg", "%FF.svg"] {
        Call::get(format!("/posters/placeholder/{path}")).send(&app).await.expect(404);
    }
}

async fn unused_posters_are_deleted(engine: Engine) {
    let (app, mut root) = start(engine).await;
    for side in [150, 140, 130] {
        upload(&app, &mut root, &encoded(&corners(100, side), ImageFormat::Png)).await;
    }
    let target = marquee::config::parse_database_url(app.database_url()).expect("the app's own");
    let db = Db::open(&target, 2).expect("it opens");
    let clean = async || {
        app.sql("DELETE FROM jobs WHERE name = 'posters'").await;
        jobs::announce(&db, CLEANUP.name, Duration::ZERO).await.expect("it is written");
        let lease = Lease::take(&db, &CLEANUP).await.expect("it is read").expect("it is due");
        (CLEANUP.step)(&db, &lease).await.expect("it works");
        app.sql("SELECT hash FROM posters").await.concat()
    };
    assert_eq!(clean().await.len(), 3, "a transaction may still give them to a movie");
    app.sql("UPDATE posters SET created_at = created_at - 3700000000").await;
    assert_eq!(clean().await, [hash(&app).await]);
    // A poster that is stored again counts as new.
    let call = call(&root, "remove", b"");
    root.send(app.base(), call).await.expect(303);
    upload(&app, &mut root, &encoded(&corners(100, 130), ImageFormat::Png)).await;
    assert_eq!(clean().await, [hash(&app).await]);
    app.sql("UPDATE posters SET created_at = created_at - 3700000000").await;
    app.sql("UPDATE movies SET poster = ''").await;
    assert!(clean().await.is_empty());
}

async fn a_dump_has_the_posters(engine: Engine) {
    let (app, mut root) = start(engine).await;
    upload(&app, &mut root, &encoded(&noise(1_100, 1_400), ImageFormat::Png)).await;
    let dump = |app: &App| String::from_utf8(app.succeed(&["dumpdata"]).stdout).expect("text");
    let dumped = dump(&app);
    let copy = App::start(engine).await;
    let file: Value = serde_json::from_str(&dumped).expect("JSON");
    copy.load(file.clone());
    assert_eq!(dump(&copy), dumped);
    assert_eq!(hash(&copy).await, hash(&app).await);
    for size in ["small", "medium", "large"] {
        assert_eq!(served(&copy, size).await.bytes, served(&app, size).await.bytes, "{size}");
    }
    let movies = |movie: Value| json!({"movies": [movie]});
    let movie = json!({"id": 1, "title": file["movies"][0]["title"], "duration_minutes": 77});
    let with = |poster: &str| {
        let mut movie = movie.clone();
        movie["poster"] = json!(poster);
        movies(movie)
    };
    // A file without posters leaves them alone.
    let before = hash(&copy).await;
    copy.load(movies(movie.clone()));
    assert_eq!(hash(&copy).await, before);
    use base64::Engine as _;
    let base64 = |file: &[u8]| base64::prelude::BASE64_STANDARD.encode(file);
    let own = served(&copy, "large").await.bytes;
    // Any other picture is encoded again, and so is one of ours with something in it.
    let comment = with_segments(&own, &[segment(0xfe, b"secret")]);
    let behind = [&own[..], b"secret"].concat();
    for other in [comment, behind, encoded(&corners(100, 150), ImageFormat::Png)] {
        copy.load(with(&base64(&other)));
        assert_ne!(hash(&copy).await, before);
        assert!(!served(&copy, "large").await.bytes.windows(6).any(|bytes| bytes == b"secret"));
    }
    copy.load(with(""));
    assert_eq!(hash(&copy).await, "");
    let directory = crate::support::process::directory();
    for (poster, why) in [("%", "base64"), (&*base64(b"<svg/>"), "not a JPEG"), (&base64(&own[..900]), "damaged")] {
        let path = directory.path().join("programme.json");
        std::fs::write(&path, with(poster).to_string()).expect("a file can be written");
        let refused = copy.marquee(&["loaddata", path.to_str().expect("UTF-8")]);
        let told = String::from_utf8_lossy(&refused.stderr).into_owned() + &String::from_utf8_lossy(&refused.stdout);
        assert!(!refused.status.success() && told.contains("movies[0].poster") && told.contains(why), "{told}");
    }
}

/// Checks that a colour is nearly this one.
#[track_caller]
fn is_near(picture: &RgbImage, x: u32, y: u32, expected: [u8; 3], what: &str) {
    let found = picture.get_pixel(x, y).0;
    let is_near = found.iter().zip(expected).all(|(found, expected)| found.abs_diff(expected) < 12);
    assert!(is_near, "{what}: {found:?} instead of {expected:?}");
}

const RED: [u8; 3] = [220, 20, 20];
const WHITE: [u8; 3] = [255, 255, 255];

async fn pictures_of_every_kind_come_out_right() {
    let (app, mut root) = start(Engine::Sqlite).await;
    let jpeg = encoded(&corners(120, 180), ImageFormat::Jpeg);
    let png = encoded(&corners(120, 180), ImageFormat::Png);
    let profile = segment(0xe2, b"ICC_PROFILE\0\x01\x01secret");
    let files = vec![
        ("JPEG", jpeg.clone()),
        ("PNG", png.clone()),
        ("WebP", encoded(&corners(120, 180), ImageFormat::WebP)),
        ("GIF", encoded(&corners(120, 180), ImageFormat::Gif)),
        ("animated GIF", animated_gif()),
        ("JPEG with a comment", with_segments(&jpeg, &[segment(0xfe, b"secret"), profile])),
        ("PNG with a page behind it", [&png[..], b"<html><script>secret</script>"].concat()),
        ("JPEG with an archive behind it", [&jpeg[..], b"PK\x03\x04secret"].concat()),
    ];
    for (what, file) in files {
        let page = upload(&app, &mut root, &file).await;
        assert!(page.contains("The poster is saved.") || page.contains("has this poster already"), "{what}: {page}");
        for size in ["small", "large"] {
            let reply = served(&app, size).await;
            let picture = decoded(&reply);
            let (width, height) = picture.dimensions();
            is_near(&picture, 5, 5, RED, what);
            is_near(&picture, width - 6, 5, [20, 200, 20], what);
            is_near(&picture, 5, height - 6, [20, 20, 220], what);
            is_near(&picture, width - 6, height - 6, WHITE, what);
            assert!(!reply.bytes.windows(6).any(|bytes| bytes == b"secret"), "{what}");
        }
    }
    // Where the red corner is after the picture was turned.
    for (orientation, (x, y)) in (1..=8).zip([(0, 0), (1, 0), (1, 1), (0, 1), (0, 0), (1, 0), (1, 1), (0, 1)]) {
        upload(&app, &mut root, &with_segments(&jpeg, &[exif(orientation)])).await;
        let reply = served(&app, "large").await;
        let picture = decoded(&reply);
        let expected = if orientation < 5 { (120, 180) } else { (180, 120) };
        assert_eq!(picture.dimensions(), expected, "orientation {orientation}");
        let place = |end: u32, side: u32| if end == 1 { side - 6 } else { 5 };
        is_near(&picture, place(x, expected.0), place(y, expected.1), RED, &format!("orientation {orientation}"));
        for hidden in [b"GPS!", b"Exif"] {
            assert!(!reply.bytes.windows(4).any(|bytes| bytes == hidden), "orientation {orientation}");
        }
    }
    upload(&app, &mut root, &transparent_png()).await;
    let picture = decoded(&served(&app, "large").await);
    is_near(&picture, 50, 30, RED, "opaque");
    is_near(&picture, 50, 120, WHITE, "transparent");
    // CMYK is stored inverted: little cyan, much of the rest.
    for (what, values, transform) in
        [("CMYK", [230, 40, 40, 250], 0), ("YCCK", [158, 160, 33, 250], 2), ("progressive", [97, 96, 223, 0], 1)]
    {
        let (values, scans) = match what {
            "progressive" => (&values[..3], Scans::Progressive),
            _ => (&values[..], Scans::One),
        };
        let transform = (values.len() == 4).then_some(transform);
        upload(&app, &mut root, &flat_jpeg(96, 144, values, transform, scans)).await;
        let picture = decoded(&served(&app, "large").await);
        assert_eq!(picture.dimensions(), (96, 144), "{what}");
        let [red, green, blue] = picture.get_pixel(48, 72).0;
        assert!(red > 200 && green < 60 && blue < 60, "{what}: {red} {green} {blue}");
    }
}

/// More than two hundred files: damaged, cut off, too large, of other kinds.
fn hostile_files() -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<(String, Vec<u8>)> = Vec::new();
    let mut dice = Dice(4);
    let picture = noise(60, 90);
    let mut good: Vec<(&str, Vec<u8>)> = [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::Gif, ImageFormat::WebP]
        .map(|f| ("", encoded(&picture, f)))
        .to_vec();
    good.push(("", flat_jpeg(160, 240, &[97, 96, 223], None, Scans::Progressive)));
    good.push(("", flat_jpeg(160, 240, &[97, 96, 223, 200], Some(2), Scans::Progressive)));
    good.push(("", animated_gif()));
    for ((_, file), kind) in good.iter().zip(["JPEG", "PNG", "GIF", "WebP", "progressive", "YCCK", "animated GIF"]) {
        for part in 0..12 {
            let end = file.len() * part / 12 + dice.roll(file.len() / 12);
            files.push((format!("{kind}, cut off after {end} bytes"), file[..end].to_vec()));
        }
        for flips in 0..20 {
            let mut file = file.clone();
            for _ in 0..=flips / 4 {
                // Half of the faults are near the beginning, where the headers are.
                let within = if flips % 2 == 0 { file.len() } else { file.len().min(200) };
                file[dice.roll(within)] ^= 1 << dice.roll(8);
            }
            files.push((format!("{kind}, fault {flips}"), file));
        }
    }
    let pixels = |bytes: usize| (b"IDAT", deflated_zeros(bytes));
    let profile = [b"x\0\0".to_vec(), deflated_zeros(200_000_000)].concat();
    let mut huge_gif = animated_gif();
    huge_gif[6..10].copy_from_slice(&[0xff; 4]);
    let mut huge_frame = animated_gif();
    let frame = huge_frame.windows(5).position(|bytes| bytes == [0x2c, 0, 0, 0, 0]).expect("a frame") + 5;
    huge_frame[frame..frame + 4].copy_from_slice(&[0xff; 4]);
    let plain: [(&str, Vec<u8>); 22] = [
        ("SVG with a script", b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>".to_vec()),
        ("PDF", b"%PDF-1.7\n1 0 obj\n".to_vec()),
        ("TIFF", b"II*\0\x08\0\0\0\0\0".to_vec()),
        ("AVIF", b"\0\0\0\x20ftypavif\0\0\0\0avifmif1miaf".to_vec()),
        ("HEIC", b"\0\0\0\x18ftypheic\0\0\0\0".to_vec()),
        ("BMP", b"BM\x46\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0\x02\0\0\0\x02\0\0\0\x01\0\x18\0".to_vec()),
        ("icon", b"\0\0\x01\0\x01\0\x10\x10\0\0".to_vec()),
        ("page", b"<!doctype html><img src=x onerror=alert(1)>".to_vec()),
        ("archive", b"PK\x03\x04\x14\0\0\0".to_vec()),
        ("a byte", vec![0xff]),
        ("PNG of no size", png(0, 0, &[pixels(1_000_000), (b"IEND", vec![])])),
        ("flat PNG", png(65_535, 1, &[pixels(1_000_000), (b"IEND", vec![])])),
        ("huge PNG", png(60_000, 60_000, &[pixels(500_000_000), (b"IEND", vec![])])),
        ("PNG of 2^31", png(0x7fff_ffff, 0x7fff_ffff, &[pixels(1_000_000)])),
        ("PNG with a huge profile", png(100, 150, &[(b"iCCP", profile), pixels(1_000_000), (b"IEND", vec![])])),
        ("huge JPEG", flat_jpeg(65_500, 65_500, &[], None, Scans::One)),
        ("JPEG of 17 million pixels", flat_jpeg(4_000, 4_250, &[97, 96, 223], None, Scans::One)),
        ("progressive JPEG of 7 million pixels", flat_jpeg(2_200, 3_200, &[97, 96, 223], None, Scans::Progressive)),
        ("huge GIF", huge_gif),
        ("GIF with a huge frame", huge_frame),
        ("WebP with a huge frame", webp_with_a_huge_frame()),
        ("animated WebP", animated_webp()),
    ];
    files.extend(plain.map(|(what, file)| (what.to_owned(), file)));
    files
}

/// Files that are right, and take as much memory or time as a file can.
fn demanding_files() -> Vec<(&'static str, Vec<u8>)> {
    let smooth = RgbImage::from_fn(3_260, 4_900, |x, y| image::Rgb([(x / 16) as u8, (y / 32) as u8, 128]));
    let photo =
        RgbImage::from_fn(3_260, 4_900, |x, y| image::Rgb([(x % 251) as u8, (y % 241) as u8, (x * y % 239) as u8]));
    vec![
        ("JPEG of 16 million pixels", encoded(&smooth, ImageFormat::Jpeg)),
        ("JPEG of many bytes", large_jpeg(&image::imageops::crop_imm(&photo, 0, 0, 2_500, 3_750).to_image())),
        ("gray JPEG of 16 million pixels", encoded_gray(&smooth)),
        ("PNG of 16 million pixels", large_png(3_260, 4_900, ColorType::Rgb8)),
        ("PNG with transparency", large_png(2_700, 4_050, ColorType::Rgba8)),
        ("PNG with 16 bits", large_png(1_600, 2_400, ColorType::Rgba16)),
        ("progressive JPEG", flat_jpeg(1_900, 2_850, &[97, 96, 223], None, Scans::Progressive)),
        ("JPEG with 20 scans", flat_jpeg(1_900, 2_850, &[97, 96, 223], None, Scans::Repeated(20))),
        ("CMYK JPEG", flat_jpeg(3_260, 4_900, &[230, 40, 40, 250], Some(0), Scans::One)),
        ("WebP", encoded(&image::imageops::crop_imm(&smooth, 0, 0, 2_100, 3_200).to_image(), ImageFormat::WebP)),
        ("GIF", large_gif()),
    ]
}

fn encoded_gray(picture: &RgbImage) -> Vec<u8> {
    let mut file = std::io::Cursor::new(Vec::new());
    let gray = DynamicImage::from(picture.clone()).into_luma8();
    gray.write_to(&mut file, ImageFormat::Jpeg).expect("it can be written");
    file.into_inner()
}

/// A JPEG of nearly ten megabytes.
fn large_jpeg(picture: &RgbImage) -> Vec<u8> {
    let mut file = Vec::new();
    let encoder = JpegEncoder::new_with_quality(&mut file, 90);
    picture.write_with_encoder(encoder).expect("it can be written");
    assert!((FILE_MAX / 2..=FILE_MAX).contains(&file.len()), "{}", file.len());
    file
}

fn large_gif() -> Vec<u8> {
    encoded(&corners(2_500, 3_750), ImageFormat::Gif)
}

/// The processor time that a process has used.
fn processor_time(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    let fields: Vec<&str> = stat.rsplit(')').next().expect("fields").split_whitespace().collect();
    // In hundredths of a second, in user and system mode.
    Duration::from_millis(fields[11..13].iter().map(|ticks| ticks.parse::<u64>().expect("a number") * 10).sum())
}

/// A line of a process's status, in bytes.
fn memory(pid: u32, line: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find(|found| found.starts_with(line)).expect("the line");
    line.split_whitespace().nth(1).expect("a number").parse::<u64>().expect("a number") * 1_024
}

/// The most processor time for a file: two seconds, or ten times that in a build that is not optimized, on a machine that
/// may be busy.
const TIME_MAX: Duration = Duration::from_secs(if cfg!(debug_assertions) { 20 } else { 2 });

/// The most memory for a file, beyond that of the server at rest.
const MEMORY_MAX: u64 = 64 << 20;

/// Uploads a file, and checks what it costs. Returns whether it became the poster.
async fn is_shown(app: &App, root: &mut Browser, what: &str, file: &[u8]) -> bool {
    let pid = app.instance(0).pid();
    let at_rest = memory(pid, "VmRSS:");
    std::fs::write(format!("/proc/{pid}/clear_refs"), "5").expect("the peak can be reset");
    let before = processor_time(pid);
    let page = upload(app, root, file).await;
    let used = processor_time(pid) - before;
    let more = memory(pid, "VmHWM:").saturating_sub(at_rest);
    assert!(used < TIME_MAX, "{what}: {used:?}");
    assert!(more < MEMORY_MAX, "{what}: {more} bytes more than at rest");
    let is_shown = page.contains("The poster is saved.") || page.contains("has this poster already");
    assert!(is_shown || page.contains("Nothing was changed."), "{what}: {page}");
    if is_shown {
        decoded(&served(app, "medium").await);
    }
    is_shown
}

async fn hostile_files_end_as_a_message() {
    let (app, mut root) = start(Engine::Sqlite).await;
    let files = hostile_files();
    assert!(files.len() > 200, "{}", files.len());
    let mut refused = 0;
    for (what, file) in files {
        refused += usize::from(!is_shown(&app, &mut root, &what, &file).await);
    }
    assert!(refused > 100, "{refused} were refused");
}

async fn large_pictures_need_little_memory() {
    for (what, file) in demanding_files() {
        // A server of its own: the allocator of another would still have the memory of the last picture.
        let (app, mut root) = start(Engine::Sqlite).await;
        upload(&app, &mut root, &encoded(&corners(100, 150), ImageFormat::Png)).await;
        assert!(is_shown(&app, &mut root, what, &file).await, "{what}");
    }
}
