//! Bodies that are sent piece by piece.
//!
//! The HTTP library copies a whole frame of a body before it sends it. A client that reads nothing would therefore hold a copy
//! of its answer, however long it is and however many have the same one.
//!
//! The library asks for the next piece once the client has taken enough of the former ones. Over HTTP/2 that is when the client has
//! allowed more bytes of this answer (RFC 9113 section 5.2).

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use axum::body::{Body, Bytes, HttpBody};
use http_body::{Frame, SizeHint};

use super::open::UnderWay;
use crate::limits;

/// A body in pieces of at most [`limits::ANSWER_PIECE_BYTES`]. Its request is under way until the client has taken all of it, and
/// waits for the client from each piece until the library asks for the next.
pub(in crate::http) struct Pieces {
    body: Body,
    left: Bytes,
    under_way: Option<UnderWay>,
}

impl Pieces {
    pub(in crate::http) fn of(body: Body, mut under_way: Option<UnderWay>) -> Self {
        under_way.iter_mut().for_each(UnderWay::wait_for_client);
        Self { body, left: Bytes::new(), under_way }
    }
}

impl HttpBody for Pieces {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.under_way.iter_mut().for_each(UnderWay::go_on);
        if self.left.is_empty() {
            match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.left = data,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                end => return Poll::Ready(end),
            }
        }
        self.under_way.iter_mut().for_each(UnderWay::wait_for_client);
        let bytes = self.left.len().min(limits::ANSWER_PIECE_BYTES);
        Poll::Ready(Some(Ok(Frame::data(self.left.split_to(bytes)))))
    }

    /// Never, so that the library asks again after the last piece, and the end of the answer is known.
    fn is_end_stream(&self) -> bool {
        false
    }

    fn size_hint(&self) -> SizeHint {
        let (of_body, left) = (self.body.size_hint(), self.left.len() as u64);
        let mut hint = SizeHint::new();
        hint.set_lower(of_body.lower() + left);
        if let Some(upper) = of_body.upper() {
            hint.set_upper(upper + left);
        }
        hint
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::{FutureExt as _, stream};
    use http_body_util::BodyExt as _;

    use super::*;
    use crate::http::connection::support::connection;

    #[tokio::test]
    async fn a_long_frame_is_cut_and_its_length_stays_known() {
        let whole: Vec<u8> = (0..=255).cycle().take(2 * limits::ANSWER_PIECE_BYTES + 1).collect();
        let mut pieces = Pieces::of(Body::from(whole.clone()), None);
        let (mut read, mut lengths) = (Vec::new(), Vec::new());
        let left = |read: &Vec<u8>| Some((whole.len() - read.len()) as u64);
        assert_eq!(pieces.size_hint().exact(), left(&read));
        while let Some(piece) = pieces.frame().await {
            let piece = piece.unwrap().into_data().unwrap();
            lengths.push(piece.len());
            read.extend_from_slice(&piece);
            assert_eq!(pieces.size_hint().exact(), left(&read));
        }
        assert_eq!(read, whole);
        assert_eq!(lengths, [limits::ANSWER_PIECE_BYTES, limits::ANSWER_PIECE_BYTES, 1]);
    }

    #[tokio::test]
    async fn an_answer_waits_for_its_client_but_not_while_the_server_has_nothing_to_send() {
        let open = connection().open();
        let (sender, receiver) = tokio::sync::mpsc::unbounded_channel::<&[u8]>();
        let records = stream::unfold(receiver, |mut it| async move {
            it.recv().await.map(|record| (Ok::<_, Infallible>(record), it))
        });
        let mut pieces = Pieces::of(Body::from_stream(records), Some(open.begin()));
        assert!(open.is_busy() && open.untaken_since().is_some(), "the client must take the head");
        assert!(pieces.frame().now_or_never().is_none());
        assert!(open.is_busy() && open.untaken_since().is_none(), "the server has no record");
        sender.send(b"record").unwrap();
        assert!(pieces.frame().now_or_never().unwrap().is_some());
        assert!(open.untaken_since().is_some(), "the client must take the record");
        drop(sender);
        assert!(pieces.frame().now_or_never().unwrap().is_none());
        assert!(open.is_busy() && open.untaken_since().is_none());
        drop(pieces);
        assert!(!open.is_busy());
        drop(Pieces::of(Body::from("unread"), Some(open.begin())));
        assert!(!open.is_busy() && open.untaken_since().is_none() && open.requests() == 2);
    }
}
