//! What the words of one file may take, whatever kind of file it is.

/// Bytes that the words of a file may take once they are read: a dictionary's word may stand in any number of rows, and what
/// lies beside a picture in a tar file beside any number of pictures.
pub(crate) const MAX_WORDS: usize = 2 << 30;

/// Takes the bytes of a word off what is `left` of [`MAX_WORDS`].
pub(crate) fn spend(left: &mut usize, word: &str) -> Result<(), String> {
    swell(left, size_of::<Option<String>>() + word.len())
}

/// Takes bytes off what is `left` of [`MAX_WORDS`], by which a word becomes longer.
pub(crate) fn swell(left: &mut usize, bytes: usize) -> Result<(), String> {
    let too_many = || format!("its words take more than {} GiB: part it into several files", MAX_WORDS >> 30);
    *left = left.checked_sub(bytes).ok_or_else(too_many)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_counted_however_often_one_is_there() {
        let mut left = 2 * size_of::<Option<String>>() + 10;
        assert!(spend(&mut left, "12345").is_ok() && spend(&mut left, "12345").is_ok());
        let error = spend(&mut left, "").unwrap_err();
        assert!(error.contains("more than 2 GiB"), "{error}");
    }
}
