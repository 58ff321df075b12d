//! Compressions, CORS, and the bodies of errors over HTTP.

use super::*;

pub(super) fn compressed(encoding: &str, plain: &[u8]) -> Vec<u8> {
    match encoding {
        "zstd" => zstd::encode_all(plain, 0).unwrap(),
        "gzip" => {
            let mut to = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            to.write_all(plain).unwrap();
            to.finish().unwrap()
        }
        "lz4" => {
            let mut to = lz4_flex::frame::FrameEncoder::new(Vec::new());
            to.write_all(plain).unwrap();
            to.finish().unwrap()
        }
        "snappy" => snap::raw::Encoder::new().compress_vec(plain).unwrap(),
        "x-snappy-framed" => {
            let mut to = snap::write::FrameEncoder::new(Vec::new());
            to.write_all(plain).unwrap();
            to.into_inner().unwrap()
        }
        _ => {
            let mut to = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
            to.write_all(plain).unwrap();
            to.finish().unwrap()
        }
    }
}

#[tokio::test]
async fn bodies_are_taken_in_each_compression() {
    for encoding in ["zstd", "deflate", "gzip", "snappy", "x-snappy-framed", "lz4"] {
        let (otlp, sink) = otlp(false);
        let headers = [PROTOBUF, ("content-encoding", encoding)];
        let body = compressed(encoding, &spans(&[16; 900]));
        let (answer, body) = post(otlp.http(), "/v1/traces", &headers, body).await;
        assert_eq!((answer.status(), body.len()), (StatusCode::OK, 0), "{encoding}");
        assert_eq!(sink.batches.lock().unwrap()[0].spans.rows.len(), 900);
    }
}

#[tokio::test]
async fn bad_bodies_are_400_with_a_status_in_the_words_of_the_request() {
    for encoding in ["zstd", "deflate", "gzip", "snappy", "lz4", "br"] {
        let headers = [JSON, ("content-encoding", encoding)];
        let (answer, body) = post(otlp(false).0.http(), "/v1/logs", &headers, vec![7; 9]).await;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{encoding}");
        let status: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(status["code"], 3);
        assert!(status["message"].as_str().unwrap().contains(encoding));
    }
    let (answer, body) = post(otlp(false).0.http(), "/v1/logs", &[PROTOBUF], vec![7; 9]).await;
    assert_eq!((answer.status(), &body[..2]), (StatusCode::BAD_REQUEST, &[8, 3][..]));
    assert_eq!(answer.headers()["content-type"], "application/x-protobuf");
}

#[tokio::test]
async fn method_and_media_type_errors_say_what_is_supported() {
    let (answer, body) =
        post(otlp(false).0.http(), "/v1/logs", &[("content-type", "text/plain")], vec![]).await;
    let text = String::from_utf8(body).unwrap();
    assert_eq!(answer.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert!(text.contains("application/json") && text.contains("application/x-protobuf"));
    let get = Request::get("/v1/traces").body(Body::empty()).unwrap();
    let answer = otlp(false).0.http().oneshot(get).await.unwrap();
    assert_eq!(
        (answer.status(), &answer.headers()["allow"]),
        (StatusCode::METHOD_NOT_ALLOWED, &"POST".parse().unwrap())
    );
}

#[tokio::test]
async fn an_empty_request_is_taken_without_a_batch() {
    let (otlp, sink) = otlp(false);
    let (answer, body) = post(otlp.http(), "/v1/traces", &[PROTOBUF], vec![]).await;
    assert_eq!((answer.status(), body.len()), (StatusCode::OK, 0));
    let (answer, body) = post(otlp.http(), "/v1/metrics", &[JSON], b"{}".to_vec()).await;
    assert_eq!((answer.status(), &body[..]), (StatusCode::OK, &b"{}"[..]));
    assert!(sink.batches.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_browser_may_send_from_elsewhere() {
    let preflight = Request::options("/v1/traces")
        .header("origin", "https://shop.example")
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "content-type,traceparent,x-team");
    let answer = otlp(false).0.http().oneshot(preflight.body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()["access-control-allow-origin"], "*");
    assert_eq!(answer.headers()["access-control-allow-headers"], "*");
}
