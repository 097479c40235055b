//! A constant map of few entries.

use std::borrow::Borrow;

/// Entries in the order they were written.
pub struct Map<K: 'static, V: 'static> {
    #[doc(hidden)]
    pub entries: &'static [(K, V)],
}

impl<K, V> Map<K, V> {
    /// The value at `key`.
    pub fn get<T: Eq + ?Sized>(&self, key: &T) -> Option<&V>
    where
        K: Borrow<T>,
    {
        let mut entries = self.entries.iter();
        entries.find(|(k, _)| Borrow::<T>::borrow(k) == key).map(|(_, v)| v)
    }
}

/// A [`Map`] of `key => value` pairs.
#[macro_export]
macro_rules! phf_map {
    ($($key:expr => $value:expr),* $(,)?) => {
        $crate::Map { entries: &[$(($key, $value)),*] }
    };
}
