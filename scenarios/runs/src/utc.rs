//! The moment a thing is written, for names of folders and for people.

use time::OffsetDateTime;

/// Now, UTC, as `YYYYMMDD-HHMMSS`, for names of folders.
pub fn timestamp() -> String {
    compact(OffsetDateTime::now_utc())
}

/// Today, UTC, as `YYYY-MM-DD`.
pub fn today() -> String {
    OffsetDateTime::now_utc().date().to_string()
}

/// Now, UTC, as `YYYY-MM-DD HH:MM:SS UTC`, for people.
pub fn now() -> String {
    readable(OffsetDateTime::now_utc())
}

fn compact(t: OffsetDateTime) -> String {
    let (hour, minute, second) = t.to_hms();
    let (year, month, day) = (t.year(), u8::from(t.month()), t.day());
    format!("{year:04}{month:02}{day:02}-{hour:02}{minute:02}{second:02}")
}

fn readable(t: OffsetDateTime) -> String {
    let (hour, minute, second) = t.to_hms();
    format!("{} {hour:02}:{minute:02}:{second:02} UTC", t.date())
}

#[cfg(test)]
#[path = "../tests/unit/utc.rs"]
mod tests;
