// For tests only: a certificate authority.
#pragma once

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "openssl/bio.h"
#include "openssl/evp.h"
#include "openssl/pem.h"
#include "openssl/x509.h"
#include "openssl/x509v3.h"

namespace flotilla::identity {

class TestCa {
 public:
  struct Pair {
    std::string certificate, key;  // PEM
  };

  TestCa() : key_(EVP_EC_gen("P-256")), certificate_(X509_new()) {
    Fill(certificate_.get(), key_.get(), "test CA", 3600);
    Extend(certificate_.get(), NID_basic_constraints, "critical,CA:TRUE");
    Sign(certificate_.get());
  }

  std::string certificate() const {
    return Pem([this](BIO* out) { PEM_write_bio_X509(out, certificate_.get()); });
  }
  // For these alternative names, as in "DNS:order.flotilla,IP:127.0.0.1". Expired where `seconds` is negative.
  Pair Issue(const std::string& names, long seconds = 3600) const {
    const Key key(EVP_EC_gen("P-256"));
    const Certificate certificate(X509_new());
    Fill(certificate.get(), key.get(), "test", seconds);
    Extend(certificate.get(), NID_subject_alt_name, names.c_str());
    Sign(certificate.get());
    return {Pem([&](BIO* out) { PEM_write_bio_X509(out, certificate.get()); }),
            Pem([&](BIO* out) { PEM_write_bio_PrivateKey(out, key.get(), nullptr, nullptr, 0, nullptr, nullptr); })};
  }

 private:
  struct Free {
    void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
    void operator()(X509* certificate) const { X509_free(certificate); }
    void operator()(BIO* bio) const { BIO_free(bio); }
  };
  using Key = std::unique_ptr<EVP_PKEY, Free>;
  using Certificate = std::unique_ptr<X509, Free>;

  template <class Write>
  static std::string Pem(Write write) {
    const std::unique_ptr<BIO, Free> memory(BIO_new(BIO_s_mem()));
    write(memory.get());
    char* text = nullptr;
    const long size = BIO_get_mem_data(memory.get(), &text);
    return {text, static_cast<std::size_t>(size)};
  }
  void Fill(X509* certificate, EVP_PKEY* key, const std::string& name, long seconds) const {
    static long serial = 0;
    const std::string unique =
        name + std::to_string(++serial);  // of two CAs with one name OpenSSL tries the first alone
    X509_set_version(certificate, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -7200);
    X509_gmtime_adj(X509_getm_notAfter(certificate), seconds);
    X509_set_pubkey(certificate, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>(unique.c_str()), -1, -1, 0);
    X509_set_issuer_name(certificate, X509_get_subject_name(certificate_.get()));
  }
  static void Extend(X509* certificate, int nid, const char* value) {
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, nullptr, nid, value);
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
  }
  void Sign(X509* certificate) const { X509_sign(certificate, key_.get(), EVP_sha256()); }

  const Key key_;
  const Certificate certificate_;
};

// Files that appear at once and whole, as a rotation should make them.
inline void WriteFile(const std::filesystem::path& path, const std::string& text) {
  const std::filesystem::path next = path.string() + ".new";
  std::ofstream(next, std::ios::trunc) << text;
  std::filesystem::rename(next, path);
}

}  // namespace flotilla::identity
