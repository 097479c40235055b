//! What parquet asks of zstd, by `ruzstd`: pages are unpacked, none is packed.

/// Whole buffers.
pub mod bulk {
    use std::io::{Cursor, Error, ErrorKind, Result};
    use std::marker::PhantomData;

    use ruzstd::decoding::FrameDecoder;

    /// Refuses to pack.
    pub struct Compressor<'a>(PhantomData<&'a ()>);

    impl Compressor<'_> {
        /// One for any level.
        pub fn new(_level: i32) -> Result<Self> {
            Ok(Compressor(PhantomData))
        }

        /// An error: nothing here writes zstd.
        pub fn compress_to_buffer(
            &mut self,
            _source: &[u8],
            _destination: &mut Cursor<&mut Vec<u8>>,
        ) -> Result<usize> {
            Err(Error::new(ErrorKind::Unsupported, "zstd is only read here"))
        }
    }

    /// Unpacks.
    pub struct Decompressor<'a>(PhantomData<&'a ()>);

    impl Decompressor<'_> {
        /// One without a dictionary.
        pub fn new() -> Result<Self> {
            Ok(Decompressor(PhantomData))
        }

        /// Unpacks all of `source` behind the cursor, within the buffer's capacity; how many
        /// bytes that made.
        pub fn decompress_to_buffer(
            &mut self,
            source: &[u8],
            destination: &mut Cursor<&mut Vec<u8>>,
        ) -> Result<usize> {
            let from = destination.position() as usize;
            let buffer = destination.get_mut();
            let kept = buffer.len();
            buffer.resize(buffer.capacity().max(from), 0);
            let unpacked = FrameDecoder::new().decode_all(source, &mut buffer[from..]);
            buffer.truncate(match &unpacked {
                Ok(length) => from + length,
                Err(_) => kept,
            });
            let length = unpacked.map_err(|e| Error::new(ErrorKind::InvalidData, e.to_string()))?;
            destination.set_position((from + length) as u64);
            Ok(length)
        }
    }
}

/// What the C library answers about frames.
pub mod zstd_safe {
    /// The size a frame unpacks to: not looked up, parquet's pages say it themselves.
    pub fn get_frame_content_size(_source: &[u8]) -> Result<Option<u64>, std::convert::Infallible> {
        Ok(None)
    }

    /// Room for packing: nothing is packed.
    pub fn compress_bound(_size: usize) -> usize {
        0
    }
}
