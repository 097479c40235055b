//! The page around the figures: one HTML file that needs nothing else.

use base64::engine::general_purpose::STANDARD;
use base64::Engine as _;
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::imageops;
use image::{ImageEncoder as _, RgbImage};

use super::svg::escape;

/// Pictures wider than this are reduced before they go into a page, px.
const MOST_PX: u32 = 256;
/// Pictures up to this wide stay lossless, px.
const LOSSLESS_PX: u32 = 96;
const QUALITY: u8 = 85;
/// Pictures this much wider than high are of several cameras: those of one are 16:9 at the most.
const SIDE_BY_SIDE: f64 = 1.9;

/// A page.
pub(crate) struct Page {
    title: String,
    style: String,
    body: String,
}

impl Page {
    /// An empty page.
    pub(crate) fn new(title: &str) -> Self {
        Page {
            title: title.to_owned(),
            style: STYLE.to_owned(),
            body: String::new(),
        }
    }

    /// Appends HTML.
    pub(crate) fn push(&mut self, html: &str) {
        self.body += html;
        self.body.push('\n');
    }

    /// A picture used many times: it is written once, as the background of elements of `class`.
    pub(crate) fn shared_picture(&mut self, class: &str, image: &RgbImage) {
        self.style += &format!(".{class}{{background-image:url({})}}\n", data_url(image));
    }

    /// Pictures of this size, px, are shown whole where they are of several cameras side by side; others
    /// are cut square, as a model sees them.
    pub(crate) fn pictures_of(&mut self, (width, height): (u32, u32)) {
        if f64::from(width) >= SIDE_BY_SIDE * f64::from(height) {
            self.style += &format!(
                ".pair > *, .four > * > img, .four > * > .pic, .strip img \
                 {{ aspect-ratio: {width} / {height}; }}\n"
            );
        }
    }

    /// A section with a heading and a line of explanation.
    pub(crate) fn section(&mut self, id: &str, heading: &str, explanation: &str, content: &str) {
        if content.is_empty() {
            return;
        }
        let explanation = if explanation.is_empty() {
            String::new()
        } else {
            format!("<p class=note>{explanation}</p>")
        };
        self.push(&format!(
            "<section id={id}><h2>{heading}</h2>{explanation}{content}</section>"
        ));
    }

    /// The whole file.
    pub(crate) fn html(self) -> String {
        format!(
            "<!doctype html>\n<html lang=en>\n<head>\n<meta charset=utf-8>\n\
             <meta name=viewport content=\"width=device-width,initial-scale=1\">\n\
             <meta name=color-scheme content=\"light dark\">\n\
             <link rel=icon href=\"data:,\">\n<title>{}</title>\n<style>\n{}</style>\n</head>\n\
             <body>\n<main>\n{}</main>\n</body>\n</html>\n",
            escape(&self.title),
            self.style,
            self.body
        )
    }
}

/// A figure: an SVG or a picture with a caption.
pub(crate) fn figure(class: &str, content: &str, caption: &str) -> String {
    format!("<figure class=\"{class}\">{content}<figcaption>{caption}</figcaption></figure>")
}

/// An image element with its picture inside.
pub(crate) fn picture(image: &RgbImage, alt: &str) -> String {
    format!("<img src=\"{}\" alt=\"{}\">", data_url(image), escape(alt))
}

/// A picture as a `data:` URL: small ones lossless, others as JPEG of bounded size.
pub(crate) fn data_url(image: &RgbImage) -> String {
    let (width, height) = image.dimensions();
    let mut bytes = Vec::new();
    if width <= LOSSLESS_PX {
        let encoder =
            PngEncoder::new_with_quality(&mut bytes, CompressionType::Best, FilterType::Adaptive);
        let written = encoder.write_image(image, width, height, image::ExtendedColorType::Rgb8);
        if written.is_ok() {
            return format!("data:image/png;base64,{}", STANDARD.encode(&bytes));
        }
        bytes.clear();
    }
    let reduced;
    let image = if width > MOST_PX {
        let to = (height * MOST_PX / width).max(1);
        reduced = imageops::resize(image, MOST_PX, to, imageops::FilterType::Triangle);
        &reduced
    } else {
        image
    };
    // Encoding into memory fails for empty pictures only; those show as nothing.
    let _ = JpegEncoder::new_with_quality(&mut bytes, QUALITY).encode_image(image);
    format!("data:image/jpeg;base64,{}", STANDARD.encode(&bytes))
}

/// A JPEG file as a `data:` URL, as it is.
pub(crate) fn jpeg_url(bytes: &[u8]) -> String {
    format!("data:image/jpeg;base64,{}", STANDARD.encode(bytes))
}

const STYLE: &str = include_str!("style.css");
