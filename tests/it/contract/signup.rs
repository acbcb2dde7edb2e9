//! Section 4: signup.

use super::rows::{Row, row};

pub fn rows() -> Vec<Row> {
    vec![
        row(
            "S01",
            "signup",
            &[("POST /api/signup/ {…}", r#"201 {"id":"<id>","username":"<user>","email":"<user>@example.com"}"#)],
        ),
        row(
            "S02",
            "no fields",
            &[(
                "POST /api/signup/ {}",
                r#"400 {"username":["This field is required."],"email":["This field is required."],"password":["This field is required."],"password2":["This field is required."]}"#,
            )],
        ),
        row(
            "S03",
            "username taken",
            &[(
                r#"POST /api/signup/ {…,"username":"ann"}"#,
                r#"400 {"username":["A user with that username already exists."]}"#,
            )],
        ),
        row(
            "S04",
            "password under 8 characters",
            &[(
                r#"POST /api/signup/ {…,"password":"aB3$x","password2":"aB3$x"}"#,
                r#"400 {"password":["This password is too short. It must contain at least 8 characters."]}"#,
            )],
        ),
        row(
            "S05",
            "common password",
            &[(
                r#"POST /api/signup/ {…,"password":"password123","password2":"password123"}"#,
                r#"400 {"password":["This password is too common."]}"#,
            )],
        ),
        row(
            "S06",
            "common password in another case",
            &[(
                r#"POST /api/signup/ {…,"password":"PassWord123","password2":"PassWord123"}"#,
                r#"400 {"password":["This password is too common."]}"#,
            )],
        ),
        row(
            "S07",
            "password all digits",
            &[(
                r#"POST /api/signup/ {…,"password":"4859302716","password2":"4859302716"}"#,
                r#"400 {"password":["This password is entirely numeric."]}"#,
            )],
        ),
        row(
            "S08",
            "all faults are listed, in this order",
            &[(
                r#"POST /api/signup/ {…,"password":"123456","password2":"123456"}"#,
                r#"400 {"password":["This password is too short. It must contain at least 8 characters.","This password is too common.","This password is entirely numeric."]}"#,
            )],
        ),
        row(
            "S09",
            "password like the username",
            &[(
                r#"POST /api/signup/ {…,"username":"wintergarden","password":"wintergarden1","password2":"wintergarden1"}"#,
                r#"400 {"password":["The password is too similar to the username."]}"#,
            )],
        ),
        row(
            "S10",
            "password like a part of the email",
            &[(
                r#"POST /api/signup/ {…,"email":"harbourmaster@example.com","password":"harbourmaster","password2":"harbourmaster"}"#,
                r#"400 {"password":["The password is too similar to the email address."]}"#,
            )],
        ),
        row(
            "S11",
            "passwords differ",
            &[(
                r#"POST /api/signup/ {…,"password2":"Other-Lantern-42"}"#,
                r#"400 {"password2":["Passwords do not match."]}"#,
            )],
        ),
        row(
            "S12",
            "passwords differ and are weak: only the difference is reported",
            &[(
                r#"POST /api/signup/ {…,"password":"123","password2":"456"}"#,
                r#"400 {"password2":["Passwords do not match."]}"#,
            )],
        ),
        row(
            "S13",
            "invalid email",
            &[(r#"POST /api/signup/ {…,"email":"nope"}"#, r#"400 {"email":["Enter a valid email address."]}"#)],
        ),
        row(
            "S14",
            "email without a dot in its domain",
            &[(r#"POST /api/signup/ {…,"email":"a@b"}"#, r#"400 {"email":["Enter a valid email address."]}"#)],
        ),
        row(
            "S15",
            "email over 254 characters",
            &[(
                r#"POST /api/signup/ {…,"email":"aaa…(250)@example.com"}"#,
                r#"400 {"email":["Ensure this field has no more than 254 characters."]}"#,
            )],
        ),
        row(
            "S16",
            "blank fields",
            &[(
                r#"POST /api/signup/ {"username":"","email":"","password":"","password2":""}"#,
                r#"400 {"username":["This field may not be blank."],"email":["This field may not be blank."],"password":["This field may not be blank."],"password2":["This field may not be blank."]}"#,
            )],
        ),
        row(
            "S17",
            "null fields",
            &[(
                r#"POST /api/signup/ {"username":null,"email":null,"password":null,"password2":null}"#,
                r#"400 {"username":["This field may not be null."],"email":["This field may not be null."],"password":["This field may not be null."],"password2":["This field may not be null."]}"#,
            )],
        ),
        row(
            "S18",
            "username of spaces is blank",
            &[(
                r#"POST /api/signup/ {…,"username":"   ","email":"<user>@example.com"}"#,
                r#"400 {"username":["This field may not be blank."]}"#,
            )],
        ),
        row(
            "S19",
            "forbidden characters in the username",
            &[(
                r#"POST /api/signup/ {…,"username":"a b!","email":"ab@example.com"}"#,
                r#"400 {"username":["Enter a valid username. This value may contain only letters, numbers, and @/./+/-/_ characters."]}"#,
            )],
        ),
        row(
            "S20",
            "username over 150 characters",
            &[(
                r#"POST /api/signup/ {…,"username":"aaa…(151)"}"#,
                r#"400 {"username":["Ensure this field has no more than 150 characters."]}"#,
            )],
        ),
        row(
            "S21",
            "fields of the wrong type",
            &[(
                r#"POST /api/signup/ {"username":["x"],"email":{},"password":true,"password2":[1]}"#,
                r#"400 {"username":["Not a valid string."],"email":["Enter a valid email address."],"password":["Not a valid string."],"password2":["Not a valid string."]}"#,
            )],
        ),
        row(
            "S22",
            "field errors hide the comparison of passwords",
            &[(
                r#"POST /api/signup/ {…,"username":"ann","password2":"Other-Lantern-42"}"#,
                r#"400 {"username":["A user with that username already exists."]}"#,
            )],
        ),
        row(
            "S23",
            "a username of 150 characters is accepted",
            &[(
                r#"POST /api/signup/ {…,"username":"userxxx…(146)"}"#,
                r#"201 {"id":"<id>","username":"userxxx…(146)","email":"userxxx…(146)@example.com"}"#,
            )],
        ),
        row(
            "S24",
            "unknown fields are ignored: no one signs up as staff or picks an id",
            &[(
                r#"POST /api/signup/ {…,"is_staff":true,"is_superuser":true,"id":2}"#,
                r#"201 {"id":"<id>","username":"<user>","email":"<user>@example.com"}"#,
            )],
        ),
        row(
            "S25",
            "two accounts may share an email",
            &[(
                r#"POST /api/signup/ {…,"email":"ann@example.com"}"#,
                r#"201 {"id":"<id>","username":"<user>","email":"ann@example.com"}"#,
            )],
        ),
        row(
            "S26",
            "the domain of the email is lower-cased",
            &[(
                r#"POST /api/signup/ {…,"email":"<user>@Example.COM"}"#,
                r#"201 {"id":"<id>","username":"<user>","email":"<user>@example.com"}"#,
            )],
        ),
        row(
            "S27",
            "a number is taken as a string",
            &[(
                r#"POST /api/signup/ {…,"username":1036287823947673,"email":"<user>@example.com"}"#,
                r#"201 {"id":"<id>","username":"1036287823947673","email":"<user>@example.com"}"#,
            )],
        ),
        row(
            "S28",
            "spaces around username and password are dropped",
            &[
                (
                    r#"POST /api/signup/ {…,"username":"  <user> ","email":"<user>@example.com","password":" Sturdy-Lantern-42 "}"#,
                    r#"201 {"id":"<id>","username":"<user>","email":"<user>@example.com"}"#,
                ),
                (r#"POST /api/login/ {"username":"<user>","password":"Sturdy-Lantern-42"}"#, "200 Tokens"),
            ],
        ),
        row(
            "S29",
            "similarity counts letters, not their order",
            &[(
                r#"POST /api/signup/ {…,"username":"wintergarden","password":"nedragretniw","password2":"nedragretniw"}"#,
                r#"400 {"password":["The password is too similar to the username."]}"#,
            )],
        ),
        row(
            "S30",
            "letters of any script are letters",
            &[(
                r#"POST /api/signup/ {…,"username":"zoë","email":"zoe@example.com"}"#,
                r#"201 {"id":"<id>","username":"zoë","email":"zoe@example.com"}"#,
            )],
        ),
        row(
            "S31",
            "the username is NFKC-normalised",
            &[(
                r#"POST /api/signup/ {…,"username":"ﬁg","email":"fig@example.com"}"#,
                r#"201 {"id":"<id>","username":"fig","email":"fig@example.com"}"#,
            )],
        ),
        row(
            "S32",
            "NUL in the username",
            &[(
                r#"POST /api/signup/ {…,"username":"a\u0000b","email":"ab@example.com"}"#,
                r#"400 {"username":["Enter a valid username. This value may contain only letters, numbers, and @/./+/-/_ characters.","Null characters are not allowed."]}"#,
            )],
        ),
        row(
            "S33",
            "a bad token is refused even here",
            &[("POST /api/signup/ {} — Authorization: Bearer junk", r#"401 BadAccess("Token is invalid or expired")"#)],
        ),
    ]
}
