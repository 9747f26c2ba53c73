use super::*;
use crate::receive::service::{EXPIRED_TOKEN, OPERATE_TOKEN, READ_TOKEN};

async fn with_token(service: &Service, method: &str, path: &str, token: &str) -> Answer {
    let request = if method == "get" { service.get(path) } else { service.post(path) };
    Answer::of(request.bearer_auth(token).send().await.expect("answered")).await
}

#[tokio::test]
async fn each_role_may_do_what_the_description_says_and_no_more() {
    let service = service().await;
    let description = serde_json::to_value(fgd_sync::http::openapi()).unwrap();
    let roles = [("read", READ_TOKEN), ("operate", OPERATE_TOKEN), ("admin", TOKEN)];
    let mut refused = 0;

    let of_the_api = |path: &str| path.starts_with("/api/") && path != "/api/v1/events";
    for (path, methods) in description["paths"].as_object().unwrap().iter().filter(|(path, _)| of_the_api(path)) {
        // Things that are not there: what is asked here is only who may.
        let concrete = path.replace("{name}", "none").replace("{id}", "none").replace("{job}", "none");
        for (method, operation) in methods.as_object().unwrap() {
            let needed = operation["security"][0]["api_token"][0].as_str().unwrap();
            let needed = roles.iter().position(|(role, _)| *role == needed).expect("a role");
            for (has, (role, token)) in roles.iter().enumerate() {
                let answer = with_token(&service, method, &concrete, token).await;
                assert_eq!(answer.status.as_u16() == 403, has < needed, "{method} {path} as {role}: {}", answer.body);
                if has < needed {
                    answer.is_problem(403, "role_too_low");
                    refused += 1;
                }
            }
        }
    }
    assert!(refused > 15, "{refused}");
}

#[tokio::test]
async fn a_token_whose_time_is_over_lets_nobody_in() {
    let service = service().await;

    let answer = with_token(&service, "get", "/api/v1/jobs", EXPIRED_TOKEN).await;

    answer.is_problem(401, "expired_token");
    assert!(answer.text("detail").contains("`eve`") && !answer.body.to_string().contains(EXPIRED_TOKEN));
    assert!(answer.header("www-authenticate").contains("invalid_token"));
}
