//! URLs as they may be shown. Providers of Ethereum nodes put their customers' secrets into user
//! information, paths and queries; of a URL only scheme, host and port are shown, wherever a message
//! goes: log, answer, error, terminal. Pure. Called by everything that keeps a URL or an error with
//! one in it.

use url::Url;

/// What stands for the part that is not shown.
const REST: &str = "…";

/// A URL without user information, path, query and fragment. Local files are shown whole.
pub fn url(text: &str) -> String {
    let Ok(url) = Url::parse(text) else {
        return unparsed(text);
    };
    if url.scheme() == "file" {
        return text.to_owned();
    }
    let Some(host) = url.host_str() else {
        return unparsed(text);
    };
    let port = url.port().map(|port| format!(":{port}"));
    let more = !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some();
    let rest = if more {
        format!("/{REST}")
    } else {
        String::new()
    };
    format!(
        "{}://{host}{}{rest}",
        url.scheme(),
        port.unwrap_or_default()
    )
}

/// What is no URL may be one with a typing error.
fn unparsed(text: &str) -> String {
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        None => (String::new(), text),
    };
    let rest = rest.rsplit_once('@').map_or(rest, |(_, rest)| rest);
    let (host, cut) = match rest.split_once(['/', '?', '#']) {
        Some((host, _)) => (host, format!("/{REST}")),
        None => (rest, String::new()),
    };
    format!("{scheme}{host}{cut}")
}

/// A message with every URL in it as [`url()`] shows it.
pub fn text(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (head, tail) = rest.split_at(at);
        let scheme = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
        let before = head.trim_end_matches(scheme);
        let end = tail
            .find(|c: char| {
                c.is_whitespace() || matches!(c, '(' | ')' | '<' | '>' | '"' | '\'' | '`')
            })
            .unwrap_or(tail.len());
        let (link, after) = rest.split_at(at + end);
        let link = link.strip_prefix(before).unwrap_or(link);
        // Punctuation behind a URL is the sentence's.
        let bare = link.trim_end_matches(['.', ',', ';', ':', '!', '?', ']', '}']);
        shown.push_str(before);
        shown.push_str(&url(bare));
        shown.push_str(link.strip_prefix(bare).unwrap_or_default());
        rest = after;
    }
    shown + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_secret_of_a_url_is_shown() {
        for (given, shown) in [
            ("http://127.0.0.1:8545", "http://127.0.0.1:8545"),
            (
                "https://mainnet.example/v3/s3cr3t",
                "https://mainnet.example/…",
            ),
            (
                "https://me:s3cr3t@node.example:8443/",
                "https://node.example:8443",
            ),
            ("wss://node.example?key=s3cr3t", "wss://node.example/…"),
            ("https://node.example/#s3cr3t", "https://node.example/…"),
            ("node.example/v3/s3cr3t", "node.example/…"),
            ("me:s3cr3t@node.example", "node.example"),
            ("http://me:s3cr3t@no de/s3cr3t", "http://no de/…"),
            ("localhost:8545", "localhost:8545"),
            (
                "file:///var/lib/carillon/archive",
                "file:///var/lib/carillon/archive",
            ),
        ] {
            assert_eq!(url(given), shown);
        }
    }

    #[test]
    fn urls_are_found_in_messages() {
        for (given, shown) in [
            (
                "error sending request for url (https://a.example/v2/s3cr3t): reset",
                "error sending request for url (https://a.example/…): reset",
            ),
            (
                "\"https://u:s3cr3t@a.example\", then ws://b.example/s3cr3t; no URL: a://",
                "\"https://a.example\", then ws://b.example/…; no URL: a://",
            ),
            (
                "grün:https://a.example/s3cr3t.",
                "grün:https://a.example/….",
            ),
            ("nothing to hide", "nothing to hide"),
        ] {
            assert_eq!(text(given), shown);
        }
    }
}
