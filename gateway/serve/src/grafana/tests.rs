use axum::http::StatusCode;

use crate::fakes::{get, get_with};

#[tokio::test]
async fn data_sources_lead_back_to_the_address_that_was_asked() {
    let (status, body) = get_with("/grafana/datasources.yaml", &[("host", "trefoil.example:8080")]).await;
    assert_eq!(status, StatusCode::OK);
    assert!(body.contains("http://trefoil.example:8080/tempo"), "{body}");
}

#[tokio::test]
async fn the_address_is_that_of_the_target_where_http_2_has_it() {
    let (_, body) = get_with("http://trefoil.example:8443/grafana/datasources.yaml", &[]).await;
    assert!(body.contains("http://trefoil.example:8443/tempo"), "{body}");
}

#[tokio::test]
async fn a_host_that_is_none_is_not_written_down() {
    let (_, body) = get_with("/grafana/datasources.yaml", &[("host", "a\"b")]).await;
    assert!(body.contains("http://localhost:8080"), "{body}");
}

#[tokio::test]
async fn an_unknown_dashboard_names_those_there_are() {
    let (status, body) = get("/grafana/dashboards/none.json").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let name = body.rsplit(' ').next().unwrap().trim().to_owned();
    assert_eq!(get(&format!("/grafana/dashboards/{name}")).await.0, StatusCode::OK);
}
