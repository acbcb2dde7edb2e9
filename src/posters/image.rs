//! Decoding, shrinking and encoding pictures, without anything else that their files contain: metadata, colour profiles,
//! comments, or other files behind the picture. Memory and time are limited by what a file's headers declare.

use std::io::Cursor;

use bytes::Bytes;
use fast_image_resize::{ResizeOptions, Resizer};
use image::codecs::gif::GifDecoder;
use image::codecs::jpeg::{JpegDecoder, JpegEncoder};
use image::codecs::png::PngDecoder;
use image::codecs::webp::WebPDecoder;
use image::metadata::Orientation;
use image::{ColorType, DynamicImage, ExtendedColorType, ImageDecoder, ImageError, ImageFormat, Limits, RgbImage};

use super::{Poster, hash};

/// The most pixels of a picture.
const PIXELS_MAX: u64 = 16_000_000;

/// The most memory for decoding a picture, in bytes, besides its file.
const MEMORY_MAX: u64 = 50_000_000;

/// The most memory for a picture and [`FILE_COPIES`] of its file, in bytes.
const ALL_MEMORY_MAX: u64 = 60_000_000;

/// How often a file can be in memory: received, taken out of its form, and read by its decoder.
const FILE_COPIES: u64 = 3;

/// The most memory for what a PNG says besides the picture, such as a compressed colour profile, in bytes.
const PNG_DETAILS_MAX: u64 = 4_000_000;

/// The most scans of a JPEG after the first one. Programs write about ten; each costs as much time as a whole picture.
const SCANS_MAX: usize = 50;

/// The least width and height of a picture, in pixels.
const SIDE_MIN: u32 = 50;

/// How many times as long as the other a side of a picture can be.
const RATIO_MAX: u32 = 4;

/// The most pixels in width and height of the three sizes.
const SMALL: (u32, u32) = (200, 300);
const MEDIUM: (u32, u32) = (500, 750);
const LARGE: (u32, u32) = (1_000, 1_500);

/// JPEG quality, from 1 to 100.
const QUALITY: u8 = 80;

/// Why a file can't be a poster.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    #[error("This is not a JPEG, PNG, WebP or GIF picture.")]
    Unknown,
    #[error("The picture is damaged or incomplete.")]
    Damaged,
    #[error("Animated WebP pictures can't be posters. Save one of its pictures as a file.")]
    Animated,
    #[error("The picture has {width} × {height} pixels. At most {most} million pixels are possible{why}.")]
    TooLarge { width: u32, height: u32, most: String, why: &'static str },
    #[error("The picture has {0} × {1} pixels. At least 50 × 50 are needed.")]
    TooSmall(u32, u32),
    #[error("The picture has {0} × {1} pixels. No side can be more than four times as long as the other.")]
    TooLong(u32, u32),
}

impl From<ImageError> for Unusable {
    /// The libraries' own messages are for programmers.
    fn from(_: ImageError) -> Self {
        Unusable::Damaged
    }
}

/// Makes a poster of an uploaded file.
///
/// # Errors
/// [`Unusable`] if the file is no picture that can be a poster.
pub fn read_upload(file: Bytes) -> Result<Poster, Unusable> {
    let (picture, orientation) = decode(file)?;
    let mut large = DynamicImage::from(shrink(&picture, turned(LARGE, orientation))?);
    drop(picture);
    large.apply_orientation(orientation);
    poster(encode(&large.into_rgb8())?.into())
}

/// Makes a poster of a picture in a file of `dumpdata`. The large file of a poster stays as it is, so that it keeps its
/// hash; any other picture is read like an upload.
///
/// # Errors
/// As [`read_upload`].
pub fn read_dumped(file: Bytes) -> Result<Poster, Unusable> {
    if is_own(&file) { poster(file) } else { read_upload(file) }
}

/// Makes a poster of a drawing, which is no larger than a poster.
///
/// # Errors
/// As [`read_upload`].
pub fn of_drawing(drawing: &RgbImage) -> Result<Poster, Unusable> {
    poster(encode(drawing)?.into())
}

/// Makes a poster of its large file, from which the others follow.
fn poster(large: Bytes) -> Result<Poster, Unusable> {
    let (picture, _) = decode(large.clone())?;
    let [small, medium] = [SMALL, MEDIUM].map(|bounds| shrink(&picture, bounds).and_then(|shrunk| encode(&shrunk)));
    let (width, height) = (picture.width(), picture.height());
    Ok(Poster { hash: hash(&large), width, height, small: small?, medium: medium?, large: large.into() })
}

/// Returns the bounds of a picture before it is turned upright.
fn turned((width, height): (u32, u32), orientation: Orientation) -> (u32, u32) {
    use Orientation::{Rotate90, Rotate90FlipH, Rotate270, Rotate270FlipH};
    match orientation {
        Rotate90 | Rotate270 | Rotate90FlipH | Rotate270FlipH => (height, width),
        _ => (width, height),
    }
}

/// Decodes a picture in front of white, and returns how it must be turned. Of a GIF and a PNG with several pictures, it is
/// the first one.
fn decode(file: Bytes) -> Result<(DynamicImage, Orientation), Unusable> {
    let format = image::guess_format(&file).map_err(|_| Unusable::Unknown)?;
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(PNG_DETAILS_MAX);
    let memory_max = MEMORY_MAX.min(ALL_MEMORY_MAX.saturating_sub(FILE_COPIES * file.len() as u64));
    let mut buffered = 0.0;
    let mut largest_frame = 0;
    let mut decoder: Box<dyn ImageDecoder> = match format {
        ImageFormat::Jpeg => {
            buffered = jpeg_buffer(&file).ok_or(Unusable::Damaged)?;
            Box::new(JpegDecoder::new(Cursor::new(file))?)
        }
        ImageFormat::Png => Box::new(PngDecoder::with_limits(Cursor::new(file), limits.clone())?),
        ImageFormat::Gif => Box::new(GifDecoder::new(Cursor::new(file))?),
        ImageFormat::WebP => {
            largest_frame = largest_webp_frame(&file);
            let decoder = WebPDecoder::new(Cursor::new(file))?;
            if decoder.has_animation() {
                return Err(Unusable::Animated);
            }
            // Planes of brightness and colour or a copy of the whole, and a copy with the transparency.
            buffered = if decoder.color_type().has_alpha() { 7.0 } else { 4.0 };
            Box::new(decoder)
        }
        _ => return Err(Unusable::Unknown),
    };
    let (width, height) = decoder.dimensions();
    check_size(width, height, decoder.color_type(), buffered, memory_max)?;
    if largest_frame > u64::from(width) * u64::from(height) {
        return Err(Unusable::Damaged);
    }
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    // For anything but the picture itself, such as a GIF's frame.
    limits.max_alloc = Some(memory_max.saturating_sub(decoder.total_bytes()));
    decoder.set_limits(limits)?;
    Ok((on_white(DynamicImage::from_decoder(decoder)?), orientation))
}

/// Refuses a picture that is too large, too small or too long. `buffered` is how many bytes for each pixel decoding
/// needs besides the picture.
fn check_size(width: u32, height: u32, color: ColorType, buffered: f64, memory_max: u64) -> Result<(), Unusable> {
    // Other types are converted to one of these. One with transparency needs a little more to be shrunk.
    let converted = match color {
        ColorType::L8 | ColorType::Rgb8 => 0.0,
        ColorType::Rgba8 => 0.5,
        _ => 4.5,
    };
    let bytes = f64::from(color.bytes_per_pixel()) + converted + buffered;
    let most = PIXELS_MAX.min((memory_max as f64 / bytes) as u64);
    if u64::from(width) * u64::from(height) > most {
        let why = if most < PIXELS_MAX {
            " in a file of this kind and size; a plain JPEG of up to 4 MB can have 16 million"
        } else {
            ""
        };
        return Err(Unusable::TooLarge { width, height, most: format!("{:.1}", most as f64 / 1e6), why });
    }
    if width.min(height) < SIDE_MIN {
        return Err(Unusable::TooSmall(width, height));
    }
    if width.max(height) > width.min(height).saturating_mul(RATIO_MAX) {
        return Err(Unusable::TooLong(width, height));
    }
    Ok(())
}

/// Returns how many bytes for each pixel a decoder buffers before it can write the picture: two for each coefficient of a
/// JPEG whose colours come in several scans, as in a progressive one; otherwise none. Returns None if the file is no whole
/// JPEG, since decoders would fill the missing part with grey, or has very many scans.
fn jpeg_buffer(file: &[u8]) -> Option<f64> {
    let (mut coefficients, mut is_progressive, mut components) = (0.0, true, 0);
    let mut at = 2;
    loop {
        let marker = match file.get(at..at + 2)? {
            [0xff, 0xff] => {
                at += 1;
                continue;
            }
            [0xff, marker] => *marker,
            _ => return None,
        };
        let length = usize::from(u16::from_be_bytes(file.get(at + 2..at + 4)?.try_into().ok()?));
        let segment = file.get(at + 4..at + 2 + length)?;
        at += 2 + length;
        match marker {
            // A frame: its kind, and the size of each component in relation to the others.
            0xc0..=0xc2 => {
                let sampling: Vec<(u8, u8)> =
                    segment.get(6..)?.chunks_exact(3).map(|part| (part[1] >> 4, part[1] & 15)).collect();
                let most = |side: fn(&(u8, u8)) -> u8| sampling.iter().map(side).max().map(f64::from);
                let blocks = most(|(across, _)| *across)? * most(|(_, down)| *down)?;
                coefficients = sampling.iter().map(|(across, down)| f64::from(across * down)).sum::<f64>() / blocks;
                (is_progressive, components) = (marker == 0xc2, sampling.len());
            }
            // A scan.
            0xda => {
                let is_whole = file[at..].windows(2).rev().any(|pair| pair == [0xff, 0xd9]);
                if file[at..].windows(2).filter(|pair| *pair == [0xff, 0xda]).count() > SCANS_MAX {
                    return None;
                }
                let has_all = !is_progressive && usize::from(*segment.first()?) == components;
                return is_whole.then_some(if has_all { 0.0 } else { 2.0 * coefficients });
            }
            _ => {}
        }
    }
}

/// Returns the most pixels that a frame of a WebP declares. The decoder makes room for them before it compares them with
/// the size of the whole picture.
fn largest_webp_frame(file: &[u8]) -> u64 {
    let pixels = |frame: &[u8]| match frame {
        [b'V', b'P', b'8', b' ', _, _, _, _, _, _, _, 0x9d, 0x01, 0x2a, w0, w1, h0, h1] => {
            let side = |low: &u8, high: &u8| u64::from(u16::from_le_bytes([*low, *high]) & 0x3fff);
            side(w0, w1) * side(h0, h1)
        }
        [b'V', b'P', b'8', b'L', _, _, _, _, 0x2f, sizes @ ..] => {
            let sizes = sizes.iter().take(4).rev().fold(0, |sizes, byte| sizes << 8 | u64::from(*byte));
            ((sizes & 0x3fff) + 1) * ((sizes >> 14 & 0x3fff) + 1)
        }
        _ => 0,
    };
    file.windows(18).map(pixels).max().unwrap_or_default()
}

/// Puts a picture in front of white, and converts other types to one that the rest can shrink.
fn on_white(picture: DynamicImage) -> DynamicImage {
    if matches!(picture, DynamicImage::ImageLuma8(_) | DynamicImage::ImageRgb8(_)) {
        return picture;
    }
    let mut picture = picture.into_rgba8();
    for pixel in picture.pixels_mut() {
        let [colors @ .., alpha] = &mut pixel.0;
        for color in colors {
            let (opaque, seen) = (u32::from(*alpha), u32::from(*color));
            *color = ((seen * opaque + 255 * (255 - opaque) + 127) / 255) as u8;
        }
        *alpha = 255;
    }
    picture.into()
}

/// How many rows are shrunk at a time, so that little memory is needed besides the picture.
const ROWS: u32 = 100;

/// Shrinks a picture to fit into the bounds, in proportion. A smaller one keeps its size.
fn shrink(picture: &DynamicImage, bounds: (u32, u32)) -> Result<RgbImage, Unusable> {
    let (wide, high) = (f64::from(picture.width()), f64::from(picture.height()));
    let scale = (f64::from(bounds.0) / wide).min(f64::from(bounds.1) / high).min(1.0);
    let side = |length: f64| ((length * scale).round() as u32).max(1);
    let (width, height) = (side(wide), side(high));
    let step = high / f64::from(height);
    let mut resizer = Resizer::new();
    let mut pixels = Vec::with_capacity(width as usize * height as usize * 3);
    for top in (0..height).step_by(ROWS as usize) {
        let rows = ROWS.min(height - top);
        let from = f64::from(top) * step;
        // The filter also sees the rows beyond these, so that no seam appears.
        let options =
            ResizeOptions::new().crop(0.0, from, wide, (f64::from(rows) * step).min(high - from)).use_alpha(false);
        let mut part = DynamicImage::new(width, rows, picture.color());
        resizer.resize(picture, &mut part, &options).map_err(|_| Unusable::Damaged)?;
        pixels.extend_from_slice(part.into_rgb8().as_raw());
    }
    RgbImage::from_raw(width, height, pixels).ok_or(Unusable::Damaged)
}

fn encode(picture: &RgbImage) -> Result<Vec<u8>, Unusable> {
    let mut file = Vec::new();
    let (width, height) = picture.dimensions();
    JpegEncoder::new_with_quality(&mut file, QUALITY).encode(picture, width, height, ExtendedColorType::Rgb8)?;
    Ok(file)
}

/// Checks whether a file is the large file of a poster: nothing but a JPEG as [`encode`] writes it.
fn is_own(file: &Bytes) -> bool {
    let Ok((picture, _)) = decode(file.clone()) else { return false };
    let (width, height) = (picture.width(), picture.height());
    if width > LARGE.0 || height > LARGE.1 {
        return false;
    }
    // Everything before the pixels depends only on the size.
    let Ok(blank) = encode(&RgbImage::new(width, height)) else { return false };
    let Some(scan) = blank.windows(2).position(|pair| pair == [0xff, 0xda]) else { return false };
    let head = scan + 2 + usize::from(u16::from_be_bytes([blank[scan + 2], blank[scan + 3]]));
    let Some(pixels) = file.strip_prefix(&blank[..head]).and_then(|rest| rest.strip_suffix(&[0xff, 0xd9])) else {
        return false;
    };
    // A marker among them would begin something else.
    pixels.windows(2).all(|pair| pair[0] != 0xff || pair[1] == 0) && pixels.last() != Some(&0xff)
}
