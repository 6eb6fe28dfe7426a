//! Where a stream's channels are.

use rillbox_trickle::ChannelUrl;

/// The channels of a stream.
#[derive(Clone, Debug)]
pub struct ChannelUrls {
    /// Input.
    pub subscribe: ChannelUrl,
    /// Output; a stream without one only looks.
    pub publish: Option<ChannelUrl>,
    /// Where updates of params come from.
    pub control: Option<ChannelUrl>,
    /// Where events go.
    pub events: Option<ChannelUrl>,
    /// Where data goes.
    pub data: Option<ChannelUrl>,
}

impl ChannelUrls {
    /// Those that there are, by the names of their fields in a request.
    pub fn named(&self) -> impl Iterator<Item = (&'static str, &ChannelUrl)> {
        let urls = [
            ("subscribe_url", Some(&self.subscribe)),
            ("publish_url", self.publish.as_ref()),
            ("control_url", self.control.as_ref()),
            ("events_url", self.events.as_ref()),
            ("data_url", self.data.as_ref()),
        ];
        urls.into_iter().filter_map(|(field, url)| Some((field, url?)))
    }

    /// Those that a stream writes to.
    pub fn outputs(&self) -> impl Iterator<Item = (&'static str, &ChannelUrl)> {
        self.named().filter(|(field, _)| matches!(*field, "publish_url" | "events_url" | "data_url"))
    }
}
