//! The names that `candle_core::quantized::tokenizer` needs in order to compile. It reads the
//! tokenizer of a language model out of a GGUF file; no world model has one, nothing here calls it,
//! and it would be told [`Absent`].

use std::collections::HashMap;
use std::fmt;

/// The error of everything: there is no tokenizer in this program.
#[derive(Debug, Clone, Copy)]
pub struct Absent;

impl fmt::Display for Absent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("this program was built without tokenizers")
    }
}

impl std::error::Error for Absent {}

type Result<T> = std::result::Result<T, Absent>;

/// A tokenizer, of which there is none.
pub enum Tokenizer {}

#[allow(missing_docs)] // names of another crate's interface, none of which does anything
mod names {
    use super::{models::bpe::BPE, *};

    impl Tokenizer {
        pub fn new(model: BPE) -> Self {
            match model {}
        }
        pub fn with_normalizer(&mut self, _: Option<normalizers::NormalizerWrapper>) -> Result<()> {
            match *self {}
        }
        pub fn with_pre_tokenizer(&mut self, _: Option<pre_tokenizers::PreTokenizerWrapper>) {
            match *self {}
        }
        pub fn with_decoder(&mut self, _: Option<decoders::DecoderWrapper>) {
            match *self {}
        }
        pub fn with_post_processor(&mut self, _: Option<processors::PostProcessorWrapper>) {
            match *self {}
        }
        pub fn add_special_tokens(&mut self, _: Vec<AddedToken>) -> Result<usize> {
            match *self {}
        }
    }

    pub struct AddedToken;

    impl AddedToken {
        pub fn from(_: String, _: bool) -> Self {
            AddedToken
        }
    }

    pub mod byte_level {
        #[derive(Default)]
        pub struct ByteLevel;

        impl ByteLevel {
            pub fn new(_: bool, _: bool, _: bool) -> Self {
                ByteLevel
            }
        }
    }

    pub mod tokenizer {
        pub enum SplitDelimiterBehavior {
            Isolated,
        }
    }

    pub mod models {
        pub mod bpe {
            use super::super::*;

            pub type Vocab = HashMap<String, u32>;

            pub enum BPE {}

            pub struct BpeBuilder;

            impl BPE {
                pub fn builder() -> BpeBuilder {
                    BpeBuilder
                }
            }

            impl BpeBuilder {
                pub fn vocab_and_merges(self, _: Vocab, _: Vec<(String, String)>) -> Self {
                    self
                }
                pub fn unk_token(self, _: String) -> Self {
                    self
                }
                pub fn byte_fallback(self, _: bool) -> Self {
                    self
                }
                pub fn ignore_merges(self, _: bool) -> Self {
                    self
                }
                pub fn build(self) -> Result<BPE> {
                    Err(Absent)
                }
            }
        }
    }

    pub mod normalizers {
        pub mod unicode {
            pub struct NFC;
        }

        pub struct NormalizerWrapper;

        impl From<unicode::NFC> for NormalizerWrapper {
            fn from(_: unicode::NFC) -> Self {
                NormalizerWrapper
            }
        }
    }

    pub mod decoders {
        pub use super::byte_level;

        pub struct DecoderWrapper;

        impl From<byte_level::ByteLevel> for DecoderWrapper {
            fn from(_: byte_level::ByteLevel) -> Self {
                DecoderWrapper
            }
        }
    }

    pub mod pre_tokenizers {
        pub use super::byte_level;

        pub struct PreTokenizerWrapper;

        pub mod split {
            use super::super::{tokenizer::SplitDelimiterBehavior, Absent, Result};

            pub enum SplitPattern {
                Regex(String),
            }

            pub struct Split;

            impl Split {
                pub fn new(_: SplitPattern, _: SplitDelimiterBehavior, _: bool) -> Result<Split> {
                    Err(Absent)
                }
            }
        }

        pub mod sequence {
            use super::PreTokenizerWrapper;

            pub struct Sequence;

            impl Sequence {
                pub fn new(_: Vec<PreTokenizerWrapper>) -> Self {
                    Sequence
                }
            }
        }

        impl From<byte_level::ByteLevel> for PreTokenizerWrapper {
            fn from(_: byte_level::ByteLevel) -> Self {
                PreTokenizerWrapper
            }
        }

        impl From<split::Split> for PreTokenizerWrapper {
            fn from(_: split::Split) -> Self {
                PreTokenizerWrapper
            }
        }

        impl From<sequence::Sequence> for PreTokenizerWrapper {
            fn from(_: sequence::Sequence) -> Self {
                PreTokenizerWrapper
            }
        }
    }

    pub mod processors {
        pub use super::byte_level;

        #[derive(Clone)]
        pub enum PostProcessorWrapper {
            Other,
            Template(template::TemplateProcessing),
        }

        pub mod sequence {
            use super::PostProcessorWrapper;

            pub struct Sequence;

            impl Sequence {
                pub fn new(_: Vec<PostProcessorWrapper>) -> Self {
                    Sequence
                }
            }
        }

        pub mod template {
            use super::super::{Absent, Result};

            #[derive(Clone)]
            pub enum TemplateProcessing {}

            pub struct TemplateProcessingBuilder;

            impl TemplateProcessing {
                pub fn builder() -> TemplateProcessingBuilder {
                    TemplateProcessingBuilder
                }
            }

            impl TemplateProcessingBuilder {
                pub fn try_single(self, _: Vec<String>) -> Result<Self> {
                    Ok(self)
                }
                pub fn try_pair(self, _: Vec<String>) -> Result<Self> {
                    Ok(self)
                }
                pub fn special_tokens(self, _: Vec<(String, u32)>) -> Self {
                    self
                }
                pub fn build(self) -> Result<TemplateProcessing> {
                    Err(Absent)
                }
            }
        }

        impl From<byte_level::ByteLevel> for PostProcessorWrapper {
            fn from(_: byte_level::ByteLevel) -> Self {
                PostProcessorWrapper::Other
            }
        }

        impl From<sequence::Sequence> for PostProcessorWrapper {
            fn from(_: sequence::Sequence) -> Self {
                PostProcessorWrapper::Other
            }
        }
    }
}

pub use names::{
    decoders, models, normalizers, pre_tokenizers, processors, tokenizer, AddedToken,
};
