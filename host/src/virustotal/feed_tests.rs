//! A collection that behaves, and collections that do not.

use super::feed::{Feed, FeedRequest};
use super::testing::{Reply, Server, client};
use super::{Client, Error};

fn request() -> FeedRequest {
    let query = [
        ("filter", "date:2026-01-01T00:00:00+ entity_type:file"),
        ("order", "date+"),
    ];
    let query = query.map(|(name, value)| (name.to_owned(), value.to_owned()));
    FeedRequest::parse("ioc_stream", query.into(), "/c/id", "/c/date").unwrap()
}

/// A page of items with these ids, and the cursor of the next.
fn page(ids: &[&str], cursor: Option<&str>) -> Reply {
    let item =
        |id: &&str| format!(r#"{{"type":"file","id":"f{id}","c":{{"date":17,"id":"{id}"}}}}"#);
    let items: Vec<String> = ids.iter().map(item).collect();
    let cursor = cursor.map_or_else(String::new, |cursor| format!(r#""cursor":"{cursor}""#));
    Reply::json(
        200,
        format!(r#"{{"data":[{}],"meta":{{{cursor}}}}}"#, items.join(",")),
    )
}

fn stale() -> Reply {
    Reply::json(
        400,
        r#"{"error":{"code":"InvalidArgumentError","message":"Invalid cursor"}}"#,
    )
}

/// Ids page by page, until the end or an error.
async fn ids(feed: &mut Feed) -> (Vec<Vec<String>>, Option<Error>) {
    let mut pages = Vec::new();
    loop {
        match feed.next_page().await {
            Ok(Some(page)) => {
                let ids = page
                    .items
                    .into_iter()
                    .map(|item| item.unwrap().id.to_string());
                pages.push(ids.collect());
            }
            Ok(None) => return (pages, None),
            Err(error) => return (pages, Some(error)),
        }
    }
}

#[tokio::test]
async fn pages_are_read_to_the_end() {
    let first = Reply::json(
        200,
        r#"{"meta": {"count": 2, "cursor": "a+b/c="},
            "data": [ {"c": {"id": "1", "date": 17, "x": "\u00e9 é"} } ], "links": {"next": "http://other/"}}"#,
    );
    let server = Server::in_turn([first, page(&["2"], None)]).await;
    let client = client(&server);
    let mut feed = client.feed(request());

    let page = feed.next_page().await.unwrap().unwrap();
    let [Ok(item)] = &page.items[..] else {
        panic!("one item: {page:?}")
    };
    assert_eq!((item.id.as_str(), item.observed), ("1", 17));
    assert_eq!(
        item.document.as_str(),
        r#"{"c": {"id": "1", "date": 17, "x": "\u00e9 é"} }"#
    );

    assert_eq!(ids(&mut feed).await, (vec![vec!["2".to_owned()]], None));
    assert!(
        feed.next_page().await.unwrap().is_none(),
        "the end stays the end"
    );
    let query = "/api/v3/ioc_stream?filter=date%3A2026-01-01T00%3A00%3A00%2B+entity_type%3Afile&order=date%2B";
    assert_eq!(
        server.lines(),
        [
            format!("GET {query}"),
            format!("GET {query}&cursor=a%2Bb%2Fc%3D")
        ]
    );
    assert_eq!(client.requests().pages, 2);
}

/// The pages that a server sends, the ids that come of them, and the error that ends them.
#[tokio::test]
async fn listings_end() {
    let repeated = |page| Some(Error::RepeatedCursor { page });
    let refused = Some(Error::Api {
        status: 400,
        code: "InvalidArgumentError".to_owned(),
        message: "Invalid cursor".to_owned(),
        after: None,
    });
    type Case = (
        &'static str,
        Vec<Reply>,
        &'static [&'static [&'static str]],
        Option<Error>,
    );
    let cases: [Case; 12] = [
        ("nothing", vec![page(&[], None)], &[], None),
        (
            "empty cursor",
            vec![page(&["1"], Some(""))],
            &[&["1"]],
            None,
        ),
        (
            "null for a cursor and more",
            vec![Reply::json(
                200,
                r#"{"data":[],"meta":{"cursor":null},"x":[{}]}"#,
            )],
            &[],
            None,
        ),
        (
            "no meta",
            vec![Reply::json(200, r#"{"data":[]}"#)],
            &[],
            None,
        ),
        (
            "an empty page with a cursor",
            vec![
                page(&["1"], Some("a")),
                page(&[], Some("b")),
                page(&["2"], None),
            ],
            &[&["1"], &["2"]],
            None,
        ),
        (
            "the same item twice",
            vec![page(&["1", "2", "1"], Some("a")), page(&["2", "3"], None)],
            &[&["1", "2"], &["3"]],
            None,
        ),
        (
            "a stale cursor",
            vec![
                page(&["1", "2"], Some("a")),
                page(&["3"], Some("b")),
                stale(),
                page(&["1", "2"], Some("a")),
                page(&["3", "4"], Some("c")),
                page(&["5"], None),
            ],
            &[&["1", "2"], &["3"], &["4"], &["5"]],
            None,
        ),
        (
            "a cursor that is stale each time",
            vec![
                page(&["1"], Some("a")),
                stale(),
                page(&["1"], Some("a")),
                stale(),
            ],
            &[&["1"]],
            refused.clone(),
        ),
        ("a refused filter", vec![stale()], &[], refused),
        (
            "the same cursor at once",
            vec![page(&["1"], Some("a")), page(&["2"], Some("a"))],
            &[&["1"]],
            repeated(2),
        ),
        (
            "a circle",
            vec![
                page(&["1"], Some("a")),
                page(&[], Some("b")),
                page(&["2"], Some("a")),
            ],
            &[&["1"]],
            repeated(3),
        ),
        (
            "quota in between",
            vec![
                page(&["1"], Some("a")),
                Reply::json(
                    429,
                    r#"{"error":{"code":"QuotaExceededError","message":"Quota exceeded"}}"#,
                ),
            ],
            &[&["1"]],
            Some(Error::QuotaExceeded {
                message: "Quota exceeded".to_owned(),
            }),
        ),
    ];
    for (name, replies, expected, end) in cases {
        let asked = replies.len();
        let server = Server::in_turn(replies).await;
        let found = ids(&mut client(&server).feed(request())).await;
        assert_eq!(found.0, expected, "{name}");
        assert_eq!(found.1, end, "{name}");
        assert_eq!(server.requests().len(), asked, "{name}");
    }
}

#[tokio::test]
async fn restarts_are_counted() {
    let mut n_items = 0_u32;
    let server = Server::new(move |request| {
        if request.target.contains("cursor=") {
            return stale();
        }
        n_items += 1;
        page(&[&n_items.to_string()], Some("a"))
    })
    .await;
    let (pages, end) = ids(&mut client(&server).feed(request())).await;
    assert_eq!(pages.len(), 6);
    assert!(
        matches!(end, Some(Error::Api { status: 400, .. })),
        "{end:?}"
    );
}

#[tokio::test]
async fn empty_pages_are_counted() {
    let mut n_pages = 0_u32;
    let server = Server::new(move |_| {
        n_pages += 1;
        page(&[], Some(&n_pages.to_string()))
    })
    .await;
    let (pages, end) = ids(&mut client(&server).feed(request())).await;
    assert!(pages.is_empty());
    assert_eq!(end, Some(Error::OnlyEmptyPages { pages: 100 }));
}

#[tokio::test]
async fn after_an_error_the_same_page_is_asked_for() {
    let unauthorized = r#"{"error":{"code":"UserNotActiveError","message":"words"}}"#;
    let replies = [
        page(&["1"], Some("a")),
        Reply::json(401, unauthorized),
        page(&["2"], None),
    ];
    let server = Server::in_turn(replies).await;
    let mut feed = client(&server).feed(request());
    assert!(feed.next_page().await.is_ok());
    assert!(matches!(
        feed.next_page().await,
        Err(Error::Unauthorized { .. })
    ));
    assert_eq!(ids(&mut feed).await.0, [["2"]]);
    let lines = server.lines();
    assert_eq!(lines[1], lines[2]);
}

#[tokio::test]
async fn elements_without_identity_are_told_and_stop_nothing() {
    let cases = [
        (
            r#"{"type":"file","id":"x","c":{"date":1}}"#,
            "file x: /c/id is missing",
        ),
        (
            r#"{"type":"file","id":"x","c":{"id":"1"}}"#,
            "file x: /c/date is missing",
        ),
        (r#"{"type":"file","id":"x"}"#, "file x: /c/id is missing"),
        (r#"{"c":null}"#, r#"{"c":null}: /c/id is missing"#),
        ("null", "null: /c/id is missing"),
        (
            r#"{"c":{"id":7,"date":1}}"#,
            r#"{"c":{"id":7,"date":1}}: /c/id is 7, expected a string"#,
        ),
        (
            r#"{"type":"url","id":"u\n","c":{"id":"1","date":-1}}"#,
            r"url u\n: /c/date is -1, expected seconds since 1970",
        ),
        (
            r#"{"type":"url","id":"u","c":{"id":"1","date":"2026-01-01"}}"#,
            r#"url u: /c/date is "2026-01-01", expected seconds since 1970"#,
        ),
        (
            r#"{"type":"url","id":"u","c":{"id":"../users","date":1}}"#,
            r#"url u: /c/id: "../users" is refused: an id consists of letters, digits, `_`, `.` and `-`"#,
        ),
    ];
    let elements: Vec<&str> = cases.iter().map(|(element, _)| *element).collect();
    let body = format!(
        r#"{{"data":[{},{{"c":{{"id":"9","date":1}}}}]}}"#,
        elements.join(",")
    );
    let server = Server::always(Reply::json(200, body)).await;
    let page = client(&server)
        .feed(request())
        .next_page()
        .await
        .unwrap()
        .unwrap();
    assert_eq!(page.items.len(), cases.len() + 1);
    for (item, (element, words)) in page.items.iter().zip(cases) {
        let unidentified = item.as_ref().unwrap_err();
        assert_eq!(unidentified.to_string(), words);
        assert_eq!(unidentified.document.as_str(), element);
    }
    assert_eq!(
        page.items.last().unwrap().as_ref().unwrap().id.as_str(),
        "9"
    );
}

#[tokio::test]
async fn what_is_no_page_is_an_error() {
    for (reply, words) in [
        (Reply::json(200, "{}"), "missing field `data`"),
        (Reply::json(200, r#"{"data":{}}"#), "expected a sequence"),
        (
            Reply::json(200, r#"{"data":[],"meta":{"cursor":1}}"#),
            "expected a string",
        ),
        (Reply::json(200, r#"{"data":["#), "EOF"),
        (Reply::json(200, [b'{', 0xff]), "key must be a string"),
        (Reply::html(200), "API_URL"),
        (Reply::text(200, ""), "not JSON"),
    ] {
        let server = Server::always(reply).await;
        let error = client(&server)
            .feed(request())
            .next_page()
            .await
            .unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[test]
fn what_a_guest_may_not_ask_for_is_refused() {
    let parse = |path: &str, name: &str, value: &str, id: &str| {
        let query = vec![(name.to_owned(), value.to_owned())];
        FeedRequest::parse(path, query, id, "/date")
    };
    assert!(parse("ioc_stream", "limit", "40", "/id").is_ok());
    let long = "x".repeat(5000);
    for (path, name, value, id) in [
        ("users/a", "limit", "40", "/id"),
        ("ioc_stream", "cursor", "a", "/id"),
        ("ioc_stream", "Cursor", "a", "/id"),
        ("ioc_stream", "", "a", "/id"),
        ("ioc_stream", "a&cursor", "a", "/id"),
        ("ioc_stream", "filter", &long, "/id"),
        ("ioc_stream", "limit", "40", "id"),
    ] {
        assert!(parse(path, name, value, id).is_err(), "{path} {name} {id}");
    }
    let many = vec![("a".to_owned(), "b".to_owned()); 33];
    assert!(FeedRequest::parse("ioc_stream", many, "/id", "/date").is_err());
}

#[test]
fn a_feed_may_be_moved_to_a_task_of_its_own() {
    fn is_send<T: Send + 'static>() {}
    is_send::<Feed>();
    is_send::<Client>();
}
