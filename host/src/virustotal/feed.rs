//! A collection of the API, read page by page (API v3, "Collections").

use std::borrow::Cow;
use std::sync::Arc;

use reqwest::Method;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::Client;
use super::counters::count;
use super::document::Document;
use super::error::Error;
use super::path::{FeedPath, ItemId, Refused};
use super::pointer::Pointer;
use super::seen::Seen;

/// Largest page, in bytes after decompression: 40 objects of 25 kB make 1 MB.
const MAX_PAGE: u64 = 64_000_000;

/// Most query parameters.
const MAX_PARAMETERS: usize = 32;

/// Longest query, in bytes before percent-encoding.
const MAX_QUERY: usize = 4096;

/// How often one listing may begin anew because its cursor went stale.
const MAX_RESTARTS: u32 = 5;

/// Pages in a row that may hold nothing and yet name another.
const MAX_EMPTY_PAGES: u32 = 100;

/// Most characters shown of a value that is not what it should be.
const MAX_SHOWN: usize = 100;

/// What to read: a collection, its query, and where its items carry their id and their date.
#[derive(Debug, Clone)]
pub struct FeedRequest {
    pub(super) path: FeedPath,
    query: Vec<(String, String)>,
    pub(super) item_id: Pointer,
    item_date: Pointer,
    identity: Identity,
}

impl FeedRequest {
    /// Takes a path relative to the API root, query parameters (not percent-encoded, without a cursor),
    /// and two JSON Pointers into an item.
    ///
    /// # Errors
    /// When the path is not that of a known collection, the query names a cursor or is out of bounds, or
    /// a pointer is none.
    pub fn parse(
        path: &str,
        query: Vec<(String, String)>,
        item_id: &str,
        item_date: &str,
    ) -> Result<Self, Refused> {
        let bytes: usize = query
            .iter()
            .map(|(name, value)| name.len() + value.len())
            .sum();
        if query.len() > MAX_PARAMETERS || bytes > MAX_QUERY {
            return Err(Refused::new(
                path,
                "its query has more than 32 parameters or 4096 bytes",
            ));
        }
        for (name, _) in &query {
            let plain =
                |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
            if name.is_empty() || !name.bytes().all(plain) {
                return Err(Refused::new(name, "not a name of a query parameter"));
            }
            if name.eq_ignore_ascii_case("cursor") {
                return Err(Refused::new(name, "the cursor is the host's"));
            }
        }
        let item_id: Pointer = item_id.parse()?;
        let item_date: Pointer = item_date.parse()?;
        Ok(Self {
            path: FeedPath::parse(path)?,
            query,
            identity: Identity::new(item_id.clone(), item_date.clone()),
            item_id,
            item_date,
        })
    }

    /// The collection.
    #[must_use]
    pub fn path(&self) -> &FeedPath {
        &self.path
    }

    pub(super) fn identify(&self, document: &str) -> Result<(ItemId, u64), String> {
        let (id, date) = self
            .identity
            .find(document)
            .map_err(|error| error.to_string())?;
        let id = id.ok_or_else(|| format!("{} is missing", self.item_id))?;
        let date = date.ok_or_else(|| format!("{} is missing", self.item_date))?;
        let id: Cow<'_, str> = serde_json::from_str(id.get())
            .map_err(|_| format!("{} is {}, expected a string", self.item_id, shown(id.get())))?;
        let id = id
            .parse()
            .map_err(|error| format!("{}: {error}", self.item_id))?;
        let date = serde_json::from_str(date.get()).map_err(|_| {
            let found = shown(date.get());
            format!("{} is {found}, expected seconds since 1970", self.item_date)
        })?;
        Ok((id, date))
    }
}

/// Where id and date stand, so that a long item is read once for both.
#[derive(Debug, Clone)]
struct Identity {
    common: Pointer,
    id: Pointer,
    date: Pointer,
}

impl Identity {
    fn new(id: Pointer, date: Pointer) -> Self {
        let (common, id, date) = id.split_common(date);
        Self { common, id, date }
    }

    fn find<'doc>(
        &self,
        document: &'doc str,
    ) -> Result<(Option<&'doc RawValue>, Option<&'doc RawValue>), serde_json::Error> {
        let Some(both) = self.common.find(document)? else {
            return Ok((None, None));
        };
        Ok((self.id.find(both.get())?, self.date.find(both.get())?))
    }
}

/// One page of the feed, in the order of the collection.
#[derive(Debug)]
pub struct Page {
    /// What was not on an earlier page; never empty.
    pub items: Vec<Result<Item, Unidentified>>,
}

/// One element of the collection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// What the checkpoint remembers, and what is removed at the source.
    pub id: ItemId,
    /// When the source reported it, in seconds since the Unix epoch, UTC.
    pub observed: u64,
    /// Why it cannot be used, although it says which it is.
    pub damage: Option<String>,
    /// The element, byte for byte, but for what is no text.
    pub document: Document,
}

/// An element without a usable id or date.
///
/// It cannot be told from another, so that it comes again when the listing begins anew.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{object}: {reason}")]
pub struct Unidentified {
    /// What the element says of itself: its type and id, or its beginning.
    pub object: String,
    /// What is missing, or what was found and what was expected.
    pub reason: String,
    /// The element, byte for byte.
    pub document: Document,
}

/// A listing in progress.
///
/// After an error it stands where it stood: the next call asks for the same page.
#[derive(Debug)]
pub struct Feed {
    client: Client,
    request: FeedRequest,
    position: Position,
    /// Ids of the items given out.
    seen: Seen,
    /// Cursors since the listing began (anew).
    cursors: Seen,
    pages: u64,
    empty_pages: u32,
    restarts: u32,
    /// Whether anything new came since the listing began (anew): else a restart would lead to the same place.
    progress: bool,
}

/// The text of a page.
struct Text {
    text: Arc<String>,
    /// Where it is not what VirusTotal sent, since that was no text; ascending.
    damaged: Vec<usize>,
}

const NOT_TEXT: &str = "VirusTotal sent something that is not UTF-8";

/// The text of a body in which bytes that are none are replaced, and where those stand in the text.
fn readable(body: Vec<u8>) -> (String, Vec<usize>) {
    let body = match String::from_utf8(body) {
        Ok(text) => return (text, Vec::new()),
        Err(error) => error.into_bytes(),
    };
    let mut text = String::with_capacity(body.len());
    let mut damaged = Vec::new();
    for chunk in body.utf8_chunks() {
        text.push_str(chunk.valid());
        if !chunk.invalid().is_empty() {
            damaged.push(text.len());
            text.push(char::REPLACEMENT_CHARACTER);
        }
    }
    (text, damaged)
}

#[derive(Debug)]
enum Position {
    Start,
    Cursor(String),
    End,
}

impl Client {
    /// Begins to read a collection.
    pub fn feed(&self, request: FeedRequest) -> Feed {
        Feed {
            client: self.clone(),
            request,
            position: Position::Start,
            seen: Seen::default(),
            cursors: Seen::default(),
            pages: 0,
            empty_pages: 0,
            restarts: 0,
            progress: false,
        }
    }

    /// Reads the first element of a collection alone, whatever the request's own `limit`: whether it may be read.
    /// Asked once.
    ///
    /// # Errors
    /// When VirusTotal does not answer, or not with a page.
    pub async fn try_feed(&self, request: &FeedRequest) -> Result<(), Error> {
        let transport = self.transport();
        let parameters = request.query.iter().filter(|(name, _)| name != "limit");
        let query: Vec<(&str, &str)> = parameters
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .chain([("limit", "1")])
            .collect();
        let path = request.path.as_str();
        let body = transport.once(&Method::GET, path, &query, MAX_PAGE).await?;
        let answer = self.json_object(body)?;
        serde_json::from_str::<Collection<'_>>(&answer)
            .map(drop)
            .map_err(Error::malformed_json)
    }
}

impl Feed {
    /// Reads on to the next page that holds something new; none at the end of the collection.
    ///
    /// Pages without anything new are passed over. Where VirusTotal no longer knows the cursor, the
    /// listing begins anew, and what was already given out is left out.
    /// Cancel safe: a call that is dropped loses nothing.
    ///
    /// # Errors
    /// When VirusTotal does not answer with a page, after all tries, or the listing runs in a circle.
    pub async fn next_page(&mut self) -> Result<Option<Page>, Error> {
        loop {
            let cursor = match &self.position {
                Position::End => return Ok(None),
                Position::Start => None,
                Position::Cursor(cursor) => Some(cursor.as_str()),
            };
            let answer = match self.fetch(cursor).await {
                Err(error) if self.restarts_after(&error) => {
                    tracing::warn!(%error, "The listing begins anew.");
                    self.restart();
                    continue;
                }
                answer => answer?,
            };
            let page = self.read(&answer)?;
            if !page.items.is_empty() {
                return Ok(Some(page));
            }
        }
    }

    /// A page that is no text may have been spoilt on the way: it is asked for once more.
    async fn fetch(&self, cursor: Option<&str>) -> Result<Text, Error> {
        let page = self.fetch_once(cursor).await?;
        if page.damaged.is_empty() {
            return Ok(page);
        }
        self.fetch_once(cursor).await
    }

    async fn fetch_once(&self, cursor: Option<&str>) -> Result<Text, Error> {
        let transport = self.client.transport();
        count(&transport.counters.pages);
        let parameters = self.request.query.iter();
        let query: Vec<(&str, &str)> = parameters
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .chain(cursor.map(|cursor| ("cursor", cursor)))
            .collect();
        let path = self.request.path.as_str();
        let body = transport.call(Method::GET, path, &query, MAX_PAGE).await?;
        let (text, damaged) = readable(body);
        Ok(Text {
            text: self.client.json_text(text)?,
            damaged,
        })
    }

    /// A page asked for without a cursor has no cursor that could be stale.
    fn restarts_after(&self, error: &Error) -> bool {
        matches!(self.position, Position::Cursor(_))
            && matches!(error, Error::Api { status: 400, code, .. }
                if code == "InvalidArgumentError" || code == "BadRequestError")
            && self.progress
            && self.restarts < MAX_RESTARTS
    }

    fn restart(&mut self) {
        self.restarts += 1;
        self.position = Position::Start;
        self.progress = false;
        self.cursors.clear();
    }

    fn read(
        &mut self,
        Text {
            text: answer,
            damaged,
        }: &Text,
    ) -> Result<Page, Error> {
        let collection: Collection<'_> =
            serde_json::from_str(answer).map_err(Error::malformed_json)?;
        let cursor = collection.meta.and_then(|meta| meta.cursor);
        self.go_on(
            cursor.filter(|cursor| !cursor.is_empty()),
            collection.data.is_empty(),
        )?;
        let items = collection
            .data
            .into_iter()
            .filter_map(|element| self.item(Document::within(answer, element), damaged))
            .collect();
        Ok(Page { items })
    }

    /// Moves to the next page, and makes sure that this ends.
    fn go_on(&mut self, cursor: Option<String>, empty: bool) -> Result<(), Error> {
        self.pages += 1;
        self.empty_pages = if empty { self.empty_pages + 1 } else { 0 };
        let Some(cursor) = cursor else {
            self.position = Position::End;
            return Ok(());
        };
        if self.empty_pages >= MAX_EMPTY_PAGES {
            return Err(Error::OnlyEmptyPages {
                pages: self.empty_pages,
            });
        }
        if !self.cursors.insert(&cursor) {
            return Err(Error::RepeatedCursor { page: self.pages });
        }
        self.position = Position::Cursor(cursor);
        Ok(())
    }

    /// None where an earlier page held the same item.
    fn item(
        &mut self,
        document: Document,
        damaged: &[usize],
    ) -> Option<Result<Item, Unidentified>> {
        match self.request.identify(document.as_str()) {
            Ok((id, observed)) => {
                if !self.seen.insert(&id) {
                    return None;
                }
                self.progress = true;
                let damage = damaged.iter().find_map(|at| document.offset_of(*at));
                Some(Ok(Item {
                    id,
                    observed,
                    damage: damage.map(|at| format!("{NOT_TEXT} at byte {at}")),
                    document,
                }))
            }
            Err(reason) => Some(Err(Unidentified {
                object: name_of(document.as_str()),
                reason,
                document,
            })),
        }
    }
}

/// A page as the API documents it; what else it holds is skipped.
#[derive(Deserialize)]
struct Collection<'answer> {
    #[serde(borrow)]
    data: Vec<&'answer RawValue>,
    meta: Option<Meta>,
}

#[derive(Deserialize)]
struct Meta {
    cursor: Option<String>,
}

/// `type` and `id` of an object, or its beginning where it has none.
fn name_of(document: &str) -> String {
    #[derive(Deserialize)]
    struct Object<'document> {
        #[serde(borrow)]
        r#type: Cow<'document, str>,
        #[serde(borrow)]
        id: Cow<'document, str>,
    }
    serde_json::from_str(document).map_or_else(
        |_| shown(document),
        |object: Object<'_>| shown(&format!("{} {}", object.r#type, object.id)),
    )
}

fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(MAX_SHOWN).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown.escape_debug().to_string().replace("\\\"", "\"")
}
